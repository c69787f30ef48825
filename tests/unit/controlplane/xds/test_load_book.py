"""Load reports in windows that are bounded, and begin when somebody began to watch."""

from __future__ import annotations

from controlplane.xds.load_book import REMEMBERED_NODES, REMEMBERED_REPORTS, Load, LoadBook, Report


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_only_what_began_since_counts() -> None:
    """A report says how long it is; one that began before the watch says something of both times."""
    clock = Clock()
    book = LoadBook(clock=clock)
    since = book.watch(10)
    clock.now += 2
    book.note("a", [Report(2.5, Load(100, 100)), Report(2.0, Load(1, 2))])
    book.note("b", [Report(1.0, Load(10, 20))])
    assert book.since(since, ["a"]) == Load(1, 2)
    assert book.since(since, ["a", "b", "c"]) == Load(11, 22)
    assert book.since(since + 1, ["a", "b"]) == Load(10, 20)


def test_nodes_report_often_enough_for_the_watch() -> None:
    """Five times, at least every five seconds, and never all the time."""
    book = LoadBook(interval=5)
    wish = book.next_wish
    for seconds, interval in ((10, 2), (600, 5), (0, 0.2)):
        book.watch(seconds)
        assert book.interval == interval
    assert wish.is_set()
    book.ignore()
    assert book.interval is None


def test_what_nobody_asked_for_is_not_kept() -> None:
    """A node may say what it likes."""
    book = LoadBook()
    book.note("a", [Report(0, Load(1, 1))])
    assert book.since(0, ["a"]) == Load()


def test_windows_are_bounded() -> None:
    """Of each node the newest reports, and of nodes the last that said something."""
    clock = Clock()
    book = LoadBook(clock=clock)
    book.watch(1)
    book.note("a", (Report(0, Load(1, 0)) for _ in range(REMEMBERED_REPORTS + 10)))
    assert book.since(0, ["a"]) == Load(REMEMBERED_REPORTS, 0)
    for number in range(REMEMBERED_NODES):
        book.note(str(number), [Report(0, Load(1, 0))])
    assert book.since(0, ["a"]) == Load()
    assert book.since(0, ["0"]) == Load(1, 0)


def test_the_error_rate_of_nothing_is_none() -> None:
    """No request failed where there was none."""
    assert Load().error_rate == 0
    assert Load(3, 1).error_rate == 0.25
