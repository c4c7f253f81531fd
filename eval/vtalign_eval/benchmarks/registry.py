"""Finding a benchmark by name: the built-in ones and those of installed packages."""

from importlib.metadata import entry_points

from vtalign.errors import InputError
from vtalign_eval.benchmarks.benchmark import Benchmark
from vtalign_eval.benchmarks.tempcompass import TEMPCOMPASS
from vtalign_eval.benchmarks.temporal_shapes import TEMPORAL_SHAPES

ENTRY_POINT_GROUP = "vtalign.benchmarks"
_BUILT_IN = {benchmark.name: benchmark for benchmark in (TEMPORAL_SHAPES, TEMPCOMPASS)}


def find_benchmark(name: str) -> Benchmark:
    """The benchmark called `name`. Raises InputError naming the known ones; an entry point cannot take a built-in name."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in installed:
        raise InputError(f"benchmark '{name}': unknown (known: {', '.join([*_BUILT_IN, *sorted(installed)])})")
    try:
        found = installed[name].load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"benchmark '{name}': entry point {installed[name].value} cannot be imported: {error}") from None
    if not isinstance(found, Benchmark):
        raise InputError(f"benchmark '{name}': entry point {installed[name].value} is a {type(found).__name__}, not a Benchmark")
    if found.name != name:  # results name the benchmark, and a comparison finds it by that name
        raise InputError(
            f"benchmark '{name}': entry point {installed[name].value} calls itself '{found.name}'; give both one name"
        )
    return found
