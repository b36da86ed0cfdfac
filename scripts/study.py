"""The chapter's claims as studies. Each runs, draws pictures, and says whether
its conclusions hold.

    python scripts/study.py                         the list
    python scripts/study.py learning_rate           one of them; --quick: smaller, in seconds
    python scripts/study.py learning_rate rates=[1,0.1,0.01] optimizer=sgd activation=tanh     any list, any configuration
    python scripts/study.py --all --pages docs/studies          all of them, as pages with their pictures

A study that was stopped and is started again trains no run twice, unless the
code has changed. Writes to logs/studies/NAME/, or to the folder after --pages.
Exit code 3 means that a conclusion does not hold.
"""

from gradpath.columns import tied, wrapped
from gradpath.config.arguments import one_line_ends
from gradpath.config.checks import PROJECT
from gradpath.studies.chapter.entries import CHAPTER, FAILED, STUDIES
from gradpath.studies.chapter.request import listed, read


def main() -> int:
    asked = read(__doc__)
    if not asked.names:
        print("\n".join(listed()))
        return 0

    from gradpath.files import check_writable, write_text
    from gradpath.studies.chapter.commands import verdicts
    from gradpath.studies.chapter.page import contents, page, terminal
    from gradpath.studies.chapter.registry import study
    from gradpath.studies.pictures.film import save_film
    from gradpath.studies.pictures.saving import save

    if asked.pages:
        # Before anything is trained, because a folder that cannot be written to is a wrong input.
        asked.pages.mkdir(parents=True, exist_ok=True)
        check_writable(asked.pages)
    failed, found_of = 0, {}
    for name in asked.names:
        found = study(name, quick=asked.quick, **asked.given)
        folder = asked.pages or PROJECT / "logs/studies" / asked.place(name)
        folder.mkdir(parents=True, exist_ok=True)
        print("\n".join(terminal(STUDIES[name], found)))
        if not found.conclusive:
            print(*wrapped(f"At full size: {tied(f'python scripts/study.py {name}')}"), sep="\n")
        for stem, figure in found.figures.items():
            save(figure, folder / f"{stem}.png")
        for stem, frames in found.films.items():
            save_film(frames, folder / f"{stem}.gif")
        write_text(folder / f"{name}.md", page(STUDIES[name], found, asked.typed(name)))
        failed += not found.holds
        found_of[name] = found.verdict
    if asked.every and asked.pages:
        write_text(asked.pages / "README.md", contents(CHAPTER, found_of | verdicts()))
    return FAILED if failed else 0


if __name__ == "__main__":
    with one_line_ends("the same command goes on where it was."):
        code = main()
    raise SystemExit(code)
