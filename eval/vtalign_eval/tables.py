"""What a person sees at the end of a run or a comparison."""

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vtalign_eval.judging.lines import comparison_lines, judge_lines
from vtalign_eval.statistics import FEWEST_CLUSTERS, without_error_bar

_MAIN = {
    "temporal_strict": "strict on conflict groups",
    "same_answer_rate": "same answer to siblings",
    "temporal": "temporal",
    "static": "static",
    "temporal_lenient": "temporal, lenient reading",
    "temporal_judged": "temporal, with judge",
    "temporal_likelihood": "temporal, by likelihood",
    "static_likelihood": "static, by likelihood",
    "parse_rate": "parse rate",
}
# shorter: a comparison has more columns
_COMPARED = {
    **_MAIN,
    "temporal_strict": "strict on groups",
    "same_answer_rate": "same answer",
    "temporal_lenient": "temporal lenient",
}
_LISTED = 5


def print_results(console: Console, results: dict[str, Any]) -> None:
    """The table of one run: headline, aspects, number of events, and what went wrong."""
    found = results["vtalign"]
    control = "" if found["control"] == "none" else f", control: {found['control']}"
    title = f"{found['benchmark']}{control}: {escape(results['model_name'])}"
    table = _table(title, ["accuracy %", "95 % interval", "strict %", "chance %", "n"])
    for name, label in _MAIN.items():
        if name in found["metrics"]:
            metric = found["metrics"][name]
            blind = found["chance"].get(name)
            table.add_row(label, _percent(metric["value"]), _interval(metric["ci95"]), "", _percent(blind), str(metric["n"]))
    table.add_section()
    for aspect, columns in found.get("aspects", {}).items():
        metric, strict = columns["accuracy"], columns.get("strict")
        blind = found["chance"].get(aspect)
        cells = _percent(metric["value"]), _interval(metric["ci95"]), _percent(strict["value"]) if strict else "", _percent(blind)
        table.add_row(aspect.replace("_", " "), *cells, str(metric["n"]))
    table.add_section()
    for events, columns in found.get("events", {}).items():
        for name in ("temporal", "static"):
            if name in columns:
                metric = columns[name]
                label = f"{name}, {events} event{'s' if events != '1' else ''}"
                table.add_row(label, _percent(metric["value"]), _interval(metric["ci95"]), "", "", str(metric["n"]))
    console.print(table)
    if "gains" in found:
        console.print(_gains_table(found["gains"]))
    _print_notes(console, found)


def print_comparison(console: Console, comparison: dict[str, Any]) -> None:
    """The table of a comparison, B against A, and the first flipped questions."""
    headings = ["A %", "B %", "B - A", "95 % interval", "detec-\ntable", "p", "McNe-\nmar p", "fixed/\nbroken", "n"]
    table = _table(f"A: {escape(comparison['a']['model'])}   B: {escape(comparison['b']['model'])}", headings, gap=1)
    for name, label in _COMPARED.items():
        if name in comparison["metrics"]:
            entry = comparison["metrics"][name]
            table.add_row(label, *_difference_cells(_less_is_better(entry) if name == "same_answer_rate" else entry))
    table.add_section()
    for aspect, entries in comparison.get("aspects", {}).items():
        table.add_row(aspect.replace("_", " "), *_difference_cells(entries["accuracy"]))
    table.caption = "detectable: found with 80 % power; both p of the aspects are corrected for how many they are (Holm)"
    console.print(table)
    _print_few_families(console, comparison)
    for line in comparison_lines(comparison):
        console.print(line, markup=False, highlight=False)
    for reason in comparison["forced"]:
        console.print(f"[yellow]compared although[/] {escape(reason)}")
    for kind, flips in comparison["flipped"].items():
        console.print(f"{kind}: {len(flips)} questions")
        for flip in flips[:_LISTED]:
            asked = " ".join(flip["question"].split())  # on one line
            line = f"  {flip['video']} ({flip['aspect']}): {asked} answer: {flip['answer']};"
            console.print(escape(f"{line} A: {flip['a']!r}, B: {flip['b']!r}"), highlight=False)


def print_contamination(console: Console, summary: dict[str, Any], matches: list[dict[str, Any]]) -> None:
    """How many matches of each kind, the first ones with both sides, and what was not looked at."""
    counts = summary["counts"]
    title = f"{summary['benchmark']}: {counts['questions']} questions against {counts['pairs']} pairs"
    table = _table(title, ["matches", "questions"])
    for check, found in summary["checks"].items():
        table.add_row(check, str(found["matches"]), str(found["questions"]))
    console.print(table)
    for match in matches[:_LISTED]:
        ours, theirs = match["benchmark"], match["training"]
        line = f"  {match['kind']}: {ours['video']} ({ours['question_ids'][0]}) and {theirs['video']} ({theirs['pair_id']})"
        console.print(escape(line + (f": {match['overlap']!r}" if "overlap" in match else "")), highlight=False)
    _print_not_checked(console, summary["not_checked"])


def _print_not_checked(console: Console, left: dict[str, Any]) -> None:
    if "frames" in left["checks"]:
        console.print("frames were not compared: name the root of the pairs' videos (--videos) for that")
    if left["questions_too_short"]:
        console.print(f"{left['questions_too_short']} questions are too short to be held against texts")
    if left["benchmark_videos_missing"]:
        console.print(
            f"{len(left['benchmark_videos_missing'])} videos of the benchmark are not there: only their names were compared"
        )
    for side, failures in left["videos_unread"].items():
        if failures:
            console.print(f"{len(failures)} {side} videos could not be read, so their frames were not compared")


def _print_few_families(console: Console, found: dict[str, Any]) -> None:
    count = sum(without_error_bar(found.get(part, {})) for part in ("metrics", "aspects", "tasks", "events", "gains"))
    if count:
        console.print(
            f"{count} numbers (of all that were written) are of fewer than {FEWEST_CLUSTERS} families: too few for an interval or p, "
            "and McNemar's p takes questions of one family as independent",
            highlight=False,
        )


def _gains_table(gains: dict[str, Any]) -> Table:
    """How much better than each control the run is: the part of the score that needs what the control takes away."""
    headings = ["strict:\ncontrol %", "gain", "95 % interval", "temporal:\ncontrol %", "gain", "95 % interval"]
    table = _table("gain over controls", headings, gap=1)
    for control, found in gains.items():
        cells: list[str] = []
        for name in ("temporal_strict", "temporal"):
            entry = found["metrics"].get(name)
            cells += [_percent(entry["control"]), _points(entry["gain"]), _interval(entry["ci95"])] if entry else [""] * 3
        table.add_row(control, *cells)
    return table


def _print_notes(console: Console, found: dict[str, Any]) -> None:
    _print_few_families(console, found)
    counts = found["counts"]
    if counts["unparsable"]:
        leniently = f"{counts['unparsable_leniently']} of them leniently too"
        console.print(f"{counts['unparsable']} replies are unparsable ({leniently}); they count as wrong")
    for line in judge_lines(found):
        console.print(line, markup=False, highlight=False)
    if found.get("likelihood", {}).get("undecided"):
        undecided = found["likelihood"]["undecided"]
        console.print(f"no option is the most likely one in {undecided} questions (ties); they count as wrong by likelihood")
    if counts["uncontrolled"]:
        console.print(f"{counts['uncontrolled']} questions are about videos that the control cannot change (stills)")
    for reason, entry in found["decode_failures"].items():
        videos = entry["videos"]
        more = f" and {len(videos) - 3} more" if len(videos) > 3 else ""
        names = escape(", ".join(videos[:3]))
        line = f"[yellow]{reason}[/]: {len(videos)} videos could not be read ({names}{more}):"
        console.print(f"{line} {entry['questions']} questions count as wrong")
    for reason, entry in found["server_failures"].items():
        line = f"[yellow]{reason}[/]: {entry['questions']} questions got no reply from the server: they count as wrong,"
        console.print(f"{line} and the same command asks them again")


def _table(title: str, headings: list[str], gap: int = 2) -> Table:
    """Columns `gap` apart, so that the widest rows fit into a terminal of 80 columns."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap - 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _less_is_better(entry: dict[str, Any]) -> dict[str, Any]:
    """A group is fixed where only A answers all siblings the same."""
    test = entry["mcnemar"]
    return {**entry, "mcnemar": {**test, "fixed": test["broken"], "broken": test["fixed"]}}


def _difference_cells(entry: dict[str, Any]) -> list[str]:
    test = entry.get("mcnemar")
    return [
        _percent(entry["a"]),
        _percent(entry["b"]),
        _points(entry["difference"]),
        _interval(entry["ci95"]),
        _percent(entry["minimum_detectable"]),
        _p_value(entry.get("p_holm", entry["p_value"])),
        _p_value(test.get("p_holm", test["p_exact"])) if test else "",
        f"{test['fixed']}/{test['broken']}" if test else "",
        str(entry["n"]),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _interval(bounds: list[float] | None) -> str:
    return "" if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "<.001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"
