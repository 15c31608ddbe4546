"""What was heard, turn by turn, as lines of JSON: numbers and digests, and words where they are kept."""

import json
from collections.abc import Iterable, Iterator
from math import isfinite

from coherence.monitor.standing import POSITION, Standing
from coherence.monitor.yardstick import STATISTICS


def turn_lines(standings: Iterable[Standing]) -> Iterator[str]:
    """Write a JSON object for each turn, persona by persona, in the order of time."""
    for standing in standings:
        yield from map(_line, _objects(standing))


def _line(found: dict[str, object]) -> str:
    return f"{json.dumps(found, ensure_ascii=False, allow_nan=False)}\n"


def _objects(standing: Standing) -> Iterator[dict[str, object]]:
    heard = standing.heard
    for place, turn in enumerate(heard.turns):
        values = {name: _plain(heard.values[place, one]) for one, name in enumerate(STATISTICS)}
        yield {
            "line": turn.line,
            "turn": turn.turn,
            "time": turn.time,
            "persona": heard.persona,
            "release": turn.release,
            "digest": turn.digest,
            **values,
            "outside": bool(standing.out[place]) if values[STATISTICS[POSITION]] is not None else None,
            "averages": {chart.name: _plain(chart.averages[place]) for chart in standing.charts},
            "alarms": [chart.name for chart in standing.charts if chart.alarms[place]],
            **({"user": turn.said[0], "assistant": turn.said[1]} if turn.said else {}),
        }


def _plain(value: float) -> float | None:
    """Round a number; JSON has neither NaN nor what is endless."""
    return round(float(value), 6) if isfinite(value) else None
