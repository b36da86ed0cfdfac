"""Faults in all rooms of the project, each with the tests that must notice it. test_planted_faults.py plants them."""

from planting import Fault

FAULTS = [
    # config
    Fault(
        "a wrong key of an option is not noticed",
        "config/overrides.py",
        "        if override not in choosing:\n            _check_key(",
        "        if False:\n            _check_key(",
        "cli/test_wrong_input.py -k test_known_before_torch",
    ),
    Fault(
        "wrong input exits with 1", "config/launch.py", "code: int = 2", "code: int = 1", "cli/test_wrong_input.py -k reluu"
    ),
    Fault(
        "resume forgets what was typed at the start",
        "config/resume.py",
        "return [*options, *saved, *typed,",
        "return [*options, *typed,",
        "cli/test_resume.py -k longer",
    ),
    Fault(
        "a run's name leaves out the seed",
        "config/run_names.py",
        'f"s{config.seed}"',
        '"s"',
        "cli/test_train.py -k a_choice_of_each_group",
    ),
    # model
    Fault(
        "He's variance follows the wrong side of the matrix",
        "theory/scales.py",
        'fan_out if mode == "fan_out" else fan_in',
        'fan_in if mode == "fan_out" else fan_out',
        "model/test_initialization.py",
    ),
    Fault(
        "uniform weights are a third too narrow",
        "model/initialization.py",
        "bound = sqrt(3 * variance_of(",
        "bound = sqrt(2 * variance_of(",
        "model/test_initialization.py",
    ),
    Fault(
        "probabilities are cut where logits should be",
        "model/objective.py",
        "return 0.0 if isinstance(self.criterion, nn.BCEWithLogitsLoss) else 0.5",
        "return 0.5",
        "model/test_objective.py",
    ),
    Fault(
        "the cosine ends at half its way",
        "model/schedules.py",
        "cos(pi * min(now / max(1, total_steps), 1.0))",
        "cos(pi / 2 * min(now / max(1, total_steps), 1.0))",
        "model/test_schedules.py",
    ),
    Fault(
        "Muon takes the last matrix, too",
        "model/optimizers.py",
        "matrices[1:-1]",
        "matrices[1:]",
        "model/test_optimizers.py",
    ),
    # data
    Fault(
        "the standard deviation is not scaled to bytes",
        "data/memory.py",
        "mean * scale, std * scale",
        "mean * scale, std",
        "data run/test_recipe.py",
    ),
    Fault(
        "validation images are trained on",
        "data/images.py",
        "order[:-validation][:limit]",
        "order[validation:][:limit]",
        "data/test_images.py",
    ),
    Fault(
        "changed files are not read again",
        "data/images.py",
        "return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)",
        "return frozenset()",
        "data/test_images.py",
    ),
    # flow
    Fault(
        "the gradient is not freed of the mean over the batch",
        "flow/hooks.py",
        "self.delta += samples**2 * self.square",
        "self.delta += samples * self.square",
        "flow/test_callback.py flow/test_probe.py",
    ),
    Fault(
        "the sum of tiny squares underflows",
        "flow/norms.py",
        "total = flat.double().square().sum().item()",
        "total = flat.square().sum().item()",
        "flow/test_norms.py flow/test_probe.py",
    ),
    Fault(
        "a unit that was silent once is dead",
        "flow/dead_units.py",
        "idle >= min(seen, WINDOW)",
        "idle > 0",
        "flow/test_dead_units.py",
    ),
    # verdict
    Fault(
        "vanishing is read off the wrong end",
        "verdict/gradient_class.py",
        "ratio = float(delta[0] / delta[-1])",
        "ratio = float(delta[-1] / delta[0])",
        "verdict/test_verdict.py",
    ),
    Fault(
        "the interval is that of a line with independent errors",
        "verdict/gradient_class.py",
        "steps.std(ddof=1) * np.linalg.norm(of_steps)",
        "steps.std(ddof=1) * np.linalg.norm(of_steps) / len(steps)",
        "verdict/test_verdict.py",
    ),
    Fault(
        "a loss that stands still is not noticed",
        "verdict/in_training.py",
        "if course.diverged or course.steps < ENOUGH_STEPS or len(losses) < 4:",
        "if course.diverged or course.steps < 10 * ENOUGH_STEPS or len(losses) < 4:",
        "verdict/test_in_training.py",
    ),
    Fault(
        "the layer of a NaN is looked for from the end",
        "verdict/divergence.py",
        "for name, block, linear in zip(names, network.blocks, network.linears, strict=True):",
        "for name, block, linear in list(zip(names, network.blocks, network.linears, strict=True))[1:]:",
        "verdict/test_divergence.py",
    ),
    # theory
    Fault(
        "the slope of the length map is twice what it is",
        "theory/moments.py",
        "(h**2 / q - 1)).sum() / (2 * q))",
        "(h**2 / q - 1)).sum() / q)",
        "theory/test_moments.py theory/test_mean_field.py",
    ),
    Fault(
        "two inputs are as correlated as their opposite",
        "theory/moments.py",
        "sign = 1.0 if c >= 0 else -1.0",
        "sign = 1.0",
        "theory/test_moments.py",
    ),
    Fault(
        "gradients behind BatchNorm forget the mean",
        "theory/batch_norm.py",
        "spread = V(activation, q) - mean(activation, q) ** 2",
        "spread = V(activation, q)",
        "theory/test_batch_norm.py",
    ),
    Fault(
        "the critical scale balances one layer more",
        "theory/mean_field.py",
        "for _ in range(depth - 1):",
        "for _ in range(depth + 1):",
        "theory/test_mean_field.py model/test_critical.py",
    ),
    Fault(
        "a network just past its limit is said not to train",
        "theory/outlook.py",
        "HOPELESS = 2",
        "HOPELESS = 1",
        "theory/test_outlook.py -k said",
    ),
    # run
    Fault(
        "rows of a killed run are kept and repeated",
        "run/metrics.py",
        'if row["step"] <= (self.resume_step or 0) and "test/loss" not in row',
        "if True",
        "cli/test_resume.py -k repeats",
    ),
    Fault(
        "the worst epoch is called the best",
        "run/metrics.py",
        "best = max(validated",
        "best = min(validated",
        "run/test_recipe.py",
    ),
    Fault(
        "Ctrl-C reads as success",
        "run/train.py",
        "raise Stopped(128 + (signal.SIGINT if stopped.code else signal.SIGTERM)) from None",
        "raise SystemExit(0) from None",
        "cli/test_resume.py -k stopped_by_hand",
    ),
    # dashboard
    Fault(
        "the last step is not sent",
        "dashboard/records.py",
        "np.linspace(0, count - 1, min(count, limit))",
        "np.linspace(0, count - 2, min(count, limit))",
        "dashboard/test_plugin.py",
    ),
    Fault(
        "infinity is drawn as nothing measured",
        "dashboard/records.py",
        'values[np.isposinf(array)] = "inf"',
        "values[np.isposinf(array)] = None",
        "dashboard/test_plugin.py",
    ),
    # byhand
    Fault(
        "the slope of GELU lacks its second part",
        "byhand/derivatives.py",
        "lambda h: _normal_below(h) + h * torch.exp(-(h**2) / 2) / sqrt(2 * pi)",
        "lambda h: _normal_below(h)",
        "byhand/test_by_hand.py",
    ),
    Fault(
        "the squared error's gradient lacks the 2",
        "byhand/losses.py",
        "lambda z, y: 2 * (z - y) / z.numel()",
        "lambda z, y: (z - y) / z.numel()",
        "byhand/test_by_hand.py",
    ),
    # sweep
    Fault(
        "a job's old result is taken although its code has changed",
        "sweep/growth.py",
        "same = known.setdefault(",
        "same = next((one for (config, _), one in known.items() if config == job.config), None) or known.setdefault(",
        "sweep/test_growth.py",
    ),
    Fault(
        "a job that another process has run is run again",
        "sweep/worker.py",
        "if known and not known.interrupted:",
        "if False:",
        "sweep/test_course.py -k composed_once",
    ),
    Fault(
        "a failed job is run again unasked",
        "sweep/course.py",
        "return outcome is not None and not outcome.interrupted",
        'return outcome is not None and outcome.status != "failed"',
        "sweep/test_nothing_lost.py -k asked_to",
    ),
    Fault(
        "a job whose process is killed has no outcome",
        "sweep/course.py",
        'return self._record(job, "failed", *in_words(end))',
        "return True",
        "sweep/test_nothing_lost.py -k costs_that_job_only",
    ),
    Fault(
        "pairs are made by place, not by seed",
        "sweep/against.py",
        "found.setdefault((cell.given[SEED], *(",
        "found.setdefault((str(len(found)), *(",
        "sweep/test_comparison.py",
    ),
    Fault(
        "Holm's correction does not count the comparisons",
        "sweep/paired.py",
        "factors = np.arange(len(p), 0, -1)",
        "factors = np.ones(len(p))",
        "sweep/test_paired.py",
    ),
    Fault(
        "the report's deviation divides by n",
        "sweep/static/statistics.js",
        "** 2, 0) / (n - 1))",
        "** 2, 0) / n)",
        "sweep/test_report_page.py -k has_the_means",
    ),
    # studies
    Fault(
        "a run of another configuration is taken for this one",
        "studies/trainings.py",
        "and read_config(folder) == compose(*overrides)[0]",
        "",
        "studies/test_trainings.py",
    ),
    Fault(
        "a study holds although a conclusion fails",
        "studies/chapter/study.py",
        "return not any(conclusion.fails for conclusion in self.conclusions)",
        "return not all(conclusion.fails for conclusion in self.conclusions)",
        "studies/test_pages.py",
    ),
    Fault(
        "an interval is two standard errors, whatever the number of seeds",
        "studies/chapter/study.py",
        "student_t(count - 1) * stdev(off)",
        "2 * stdev(off)",
        "studies/test_trainings.py",
    ),
    # scripts
    Fault(
        "the test metrics of a saved run are shown with one digit",
        "scripts/evaluate.py",
        "{value:.4f}",
        "{value:.1f}",
        "cli/test_train.py -k evaluate",
    ),
]
