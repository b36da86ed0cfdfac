"""A tour of the chapter in the terminal: eighteen stations, four minutes on two
idle cores, seven beside other work.

    python scripts/tour.py            from the station after the last one; Ctrl-C stops, the same command goes on
    python scripts/tour.py 5          from station 5
    python scripts/tour.py --list     the stations; >: where it goes on

Each station is a command that you could type yourself. The tour says what the
chapter claims, runs the command, and shows its numbers and where its pictures
are. In a terminal it waits for Enter between stations.
"""

import sys

from gradpath.config.arguments import Command, Value, one_line_ends, whole
from gradpath.studies.chapter.entries import CHAPTER
from gradpath.studies.chapter.tour import following, listed, station

STATION = Value(whole(1, len(CHAPTER)), "STATION")


def main() -> None:
    chosen = Command(__doc__, {"station": STATION}, flags={"--list": Value(bool, help="the stations")}).read()
    if chosen.list:
        print("\n".join(listed()))
        return
    first = chosen.station or following()
    if first > len(CHAPTER):
        print("The tour has come to its end; python scripts/tour.py 1 begins again.")
    for number in range(first, len(CHAPTER) + 1):
        station(number)
        if number < len(CHAPTER) and sys.stdin.isatty() and asked_to_stop():
            print("python scripts/tour.py goes on from here.")
            return


def asked_to_stop() -> bool:
    """Waits for Enter. Returns whether the user typed q, or closed the input."""
    try:
        return input("Enter goes on, q stops: ").strip().lower() == "q"
    except EOFError:
        print()
        return True


if __name__ == "__main__":
    with one_line_ends("python scripts/tour.py goes on where it was."):
        main()
