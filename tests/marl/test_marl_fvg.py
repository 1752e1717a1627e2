"""Fair value gaps: three candles, filters, mitigation, age, the nearest edge, and a plain loop over all."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from marl_series import walk, written

from grinder.marl.bars.closed import Bars
from grinder.marl.indicators.fvg import PLAIN, Fvg, FvgSettings, fvg, zones

Row = tuple[float, float, float, float]
CALM: list[Row] = [(100.0, 100.2, 99.8, 100.1)] * 20
UP: list[Row] = [(100.0, 100.2, 99.8, 100.1), (100.1, 102.1, 100.0, 102.0), (102.0, 102.5, 101.2, 102.3)]
"""The third bar's low is 101.2, the first one's high 100.2."""
DOWN: list[Row] = [(100.0, 100.2, 99.8, 99.9), (99.9, 100.0, 97.9, 98.0), (98.0, 98.8, 97.5, 97.7)]
ABOVE: list[Row] = [(102.3, 102.6, 101.8, 102.4)]


def last(bars: Bars, settings: FvgSettings | None = None) -> dict[str, float]:
    return {name: float(column[-1]) for name, column in attrs.asdict(fvg(bars, settings)).items()}


def test_three_candles_make_a_bullish_zone() -> None:
    (zone,) = zones(written(CALM + UP))
    assert (zone.born, zone.direction, zone.bottom, zone.top) == (22, 1, 100.2, 101.2)
    told = last(written(CALM + UP))
    assert (told["bullish_active"], told["bearish_active"]) == (1.0, 0.0)
    assert (told["nearest_level"], told["age"]) == (101.2, 0.0)


def test_three_candles_make_a_bearish_zone() -> None:
    (zone,) = zones(written(CALM + DOWN))
    assert (zone.direction, zone.bottom, zone.top) == (-1, 98.8, 99.8)
    told = last(written(CALM + DOWN))
    assert (told["bullish_active"], told["bearish_active"], told["nearest_level"]) == (0.0, 1.0, 98.8)


def test_touching_candles_make_none() -> None:
    rows = [*UP[:2], (102.0, 102.5, 100.2, 102.3)]
    assert zones(written(CALM + rows), PLAIN) == ()


def test_a_small_body_makes_none_unless_the_filter_is_off() -> None:
    """A middle bar of body 0.2 among bodies of 0.1 exceeds them; 1.5 mean bodies of 0.5 it does not."""
    rows = [(100.0, 100.6, 99.9, 100.5)] * 20 + [(100.6, 101.0, 100.5, 100.8), (101.0, 101.5, 100.9, 101.4)]
    assert zones(written(rows)) == ()
    (zone,) = zones(written(rows), FvgSettings(body_factor=None))
    assert (zone.born, zone.bottom, zone.top) == (21, 100.6, 100.9)


def test_the_body_filter_needs_twenty_bars_before_the_third() -> None:
    assert zones(written(CALM[:17] + UP)) == ()
    assert len(zones(written(CALM[:18] + UP))) == 1


def test_a_gap_below_a_thousandth_of_the_close_makes_none() -> None:
    rows = [*UP[:2], (102.0, 102.5, 100.3, 102.3)]
    assert zones(written(CALM + rows)) == ()
    assert len(zones(written(CALM + rows), FvgSettings(gap_least=0.0005))) == 1


def test_a_gap_of_just_a_thousandth_of_the_close_makes_one() -> None:
    exact: list[Row] = [
        (125.0, 125.0, 124.0, 124.5),
        (124.5, 126.0, 124.0, 126.0),
        (125.125, 126.0, 125.125, 125.125),
    ]
    share = 0.125 / 125.125
    assert len(zones(written(exact), FvgSettings(body_factor=None, gap_least=share))) == 1
    assert zones(written(exact), FvgSettings(body_factor=None, gap_least=share * 1.000001)) == ()


def test_a_bar_that_reaches_the_far_side_mitigates() -> None:
    told = last(written([*CALM, *UP, *ABOVE, (102.4, 102.4, 100.2, 101.0)]))
    assert told["mitigation_signal"] == 1.0
    assert (told["direction"], told["size"]) == (1.0, pytest.approx(1.0))
    assert (told["bullish_active"], told["nearest_level"]) == (0.0, 0.0)


def test_a_bar_that_enters_the_zone_does_not_mitigate() -> None:
    told = last(written([*CALM, *UP, *ABOVE, (102.4, 102.4, 100.3, 101.0)]))
    assert (told["mitigation_signal"], told["bullish_active"], told["age"]) == (0.0, 1.0, 2.0)


def test_a_bearish_zone_is_mitigated_from_below() -> None:
    told = last(written([*CALM, *DOWN, (97.7, 99.8, 97.6, 99.0)]))
    assert (told["mitigation_signal"], told["direction"]) == (1.0, -1.0)


def test_a_zone_is_not_mitigated_twice() -> None:
    bars = written([*CALM, *UP, (102.4, 102.4, 100.0, 101.0), (101.0, 101.0, 99.0, 100.0)])
    assert fvg(bars).mitigation_signal[-2:].tolist() == [1.0, 0.0]


def test_a_zone_lives_fifty_bars() -> None:
    still: list[Row] = [(102.3, 102.5, 102.1, 102.3)] * 51
    told = fvg(written([*CALM, *UP, *still]))
    assert (told.bullish_active[72], told.age[72]) == (1.0, 50.0)
    assert told.bullish_active[73] == 0.0
    late = fvg(written([*CALM, *UP, *still[:50], (102.3, 102.5, 100.0, 102.3)]))
    assert late.mitigation_signal[-1] == 0.0


def test_a_bar_does_not_mitigate_the_zone_it_creates() -> None:
    for seed in range(5):
        bars = walk(400, seed, step=0.004)
        told = fvg(bars, PLAIN)
        for zone in zones(bars, PLAIN):
            standing = told.bullish_active if zone.direction > 0 else told.bearish_active
            assert standing[zone.born] == 1.0


@pytest.mark.parametrize(
    ("bullish_top", "direction", "size"), [(101.25, 1.0, 1.0), (100.75, 0.0, 0.5), (100.70, -1.0, 0.5)]
)
def test_of_both_kinds_mitigated_at_once_the_higher_zone_decides(
    bullish_top: float, direction: float, size: float
) -> None:
    """The bullish zone starts at 100.25, the bearish one is [101.75, 102.25]; the last bar reaches both."""
    rows: list[Row] = [
        (100.0, 100.25, 99.8, 100.0),
        (100.0, 102.0, 100.0, 102.0),
        (102.0, 102.25, bullish_top, 102.0),
        (102.0, 104.0, 101.9, 104.0),
        (104.0, 104.2, 102.25, 104.0),
        (104.0, 104.1, 102.0, 102.1),
        (101.5, 101.75, 101.3, 101.4),
        (101.4, 103.0, 100.0, 101.0),
    ]
    settings = FvgSettings(body_factor=None, gap_least=0.004)
    assert [zone.direction for zone in zones(written(rows), settings)] == [1, -1]
    told = last(written(rows), settings)
    assert (told["mitigation_signal"], told["direction"], told["size"]) == (1.0, direction, size)


def plain_fvg(bars: Bars, chosen: FvgSettings) -> Fvg:
    """Bar by bar over a list of dictionaries."""
    size = len(bars)
    out = {one.name: np.zeros(size) for one in attrs.fields(Fvg)}
    live: list[tuple[int, int, float, float]] = []
    for i in range(size):
        live = [z for z in live if i - z[0] <= chosen.age_most]
        hit = [z for z in live if (bars.low[i] <= z[2] if z[1] > 0 else bars.high[i] >= z[3])]
        live = [z for z in live if z not in hit]
        strong = chosen.body_factor is None
        if chosen.body_factor is not None and i >= chosen.body_window:
            bodies = [abs(bars.close[j] - bars.open[j]) for j in range(i - chosen.body_window, i)]
            strong = bodies[-1] > chosen.body_factor * sum(bodies) / len(bodies)
        if i >= 2 and strong:
            if bars.low[i] > bars.high[i - 2]:
                made = (i, 1, float(bars.high[i - 2]), float(bars.low[i]))
            else:
                made = (i, -1, float(bars.high[i]), float(bars.low[i - 2]))
            if made[3] > made[2] and (made[3] - made[2]) / bars.close[i] >= chosen.gap_least:
                live.append(made)
        out["bullish_active"][i] = any(z[1] > 0 for z in live)
        out["bearish_active"][i] = any(z[1] < 0 for z in live)
        if live:
            near = min((abs(e - bars.close[i]), -z[0], e) for z in live for e in z[2:])
            out["nearest_level"][i], out["age"][i] = near[2], i + near[1]
        if hit:
            ups = max((z[3] - z[2] for z in hit if z[1] > 0), default=0.0)
            downs = max((z[3] - z[2] for z in hit if z[1] < 0), default=0.0)
            out["mitigation_signal"][i] = 1.0
            out["direction"][i] = (ups > downs) - (ups < downs)
            out["size"][i] = max(ups, downs)
    return Fvg(**out)


@pytest.mark.parametrize("chosen", [FvgSettings(), PLAIN, FvgSettings(age_most=5, body_factor=1.0)])
def test_everything_is_that_of_a_plain_loop(chosen: FvgSettings) -> None:
    for seed in range(3):
        bars = walk(600, 40 + seed, step=0.004)
        got, want = fvg(bars, chosen), plain_fvg(bars, chosen)
        assert got.mitigation_signal.any()
        for one in attrs.fields(Fvg):
            assert getattr(got, one.name) == pytest.approx(getattr(want, one.name)), one.name


def test_fewer_than_three_bars_tell_nothing() -> None:
    assert last(walk(2, 1)) == dict.fromkeys((one.name for one in attrs.fields(Fvg)), 0.0)
    assert len(fvg(walk(0, 1)).age) == 0
