"""What the HParams tab shows of several runs: the keys that differ between them.

TensorBoard expects one run only to say which keys there are, and takes any one of those that do. All of ours do, so that a
run alone has a table, too. So what TensorBoard is told of one of them is what all of them say.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tensorboard.data.provider import DataProvider, TensorTimeSeries
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.plugins.hparams.api_pb2 import Experiment
from tensorboard.plugins.hparams.error import HParamsError

Listing = dict[str, dict[str, TensorTimeSeries]]


def join_experiments(data: DataProvider) -> None:
    """Lets `data.list_tensors` tell the HParams tab of all runs' keys and metrics, where it would tell of some run's."""
    listed: Callable[..., Listing] = data.list_tensors

    def list_tensors(*arguments: Any, **options: Any) -> Listing:
        found = listed(*arguments, **options)
        return _joined(found) if options.get("plugin_name") == metadata.PLUGIN_NAME else found

    data.list_tensors = list_tensors


def _joined(found: Listing) -> Listing:
    """The listing, in which the run that TensorBoard reads first has the experiment of all runs."""
    try:
        experiments = [*_parsed(found, metadata.EXPERIMENT_TAG, metadata.parse_experiment_plugin_data)]
        begun = _parsed(found, metadata.SESSION_START_INFO_TAG, metadata.parse_session_start_info_plugin_data)
        values: dict[str, set[bytes]] = {}
        for start in begun:
            for name, value in start.hparams.items():
                values.setdefault(name, set()).add(value.SerializeToString())
    # What others have written may be of another version: it is left to TensorBoard.
    except (HParamsError, ValueError):
        return found
    if len(experiments) < 2:
        return found
    first = next(run for run, tags in found.items() if metadata.EXPERIMENT_TAG in tags)
    old = found[first][metadata.EXPERIMENT_TAG]
    new = TensorTimeSeries(
        max_step=old.max_step, max_wall_time=old.max_wall_time, plugin_content=_content(_all(experiments, values)),
        description=old.description, display_name=old.display_name,
    )  # fmt: skip
    return found | {first: found[first] | {metadata.EXPERIMENT_TAG: new}}


def _all(experiments: list[Experiment], values: Mapping[str, set[bytes]]) -> Experiment:
    """One experiment: every key of which runs have different values, or all keys if there is none; and every metric."""
    keys = {info.name: info for one in experiments for info in one.hparam_infos}
    metrics = {(info.name.group, info.name.tag): info for one in experiments for info in one.metric_infos}
    differing = [info for name, info in keys.items() if len(values.get(name, ())) > 1]
    found = Experiment(hparam_infos=differing or [*keys.values()], metric_infos=[*metrics.values()])
    for info in found.hparam_infos:
        info.differs = bool(differing)
    return found


def _parsed(found: Listing, tag: str, parse: Callable[[bytes], Any]) -> Iterator[Any]:
    return (parse(tags[tag].plugin_content) for tags in found.values() if tag in tags)


def _content(experiment: Experiment) -> bytes:
    told = plugin_data_pb2.HParamsPluginData(experiment=experiment, version=metadata.PLUGIN_DATA_VERSION)
    content: bytes = told.SerializeToString()
    return content
