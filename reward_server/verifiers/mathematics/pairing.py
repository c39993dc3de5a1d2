"""A reference and an answer, made ready to be compared with each other."""

from __future__ import annotations

import re

from reward_server.verifiers.mathematics.dressing import FONT, MAX_CHARS, undress

_RADIANS = re.compile(rf"(?<![a-zA-Z])(?:{FONT}\s*\{{\s*)?rad(?:ians?|s)?(?![a-zA-Z])\s*\}}?\s*$")
_DEGREES = re.compile(
    rf"\^\s*\{{\s*\\circ\s*\}}|\^\s*\\circ(?![a-zA-Z])|\\degree(?![a-zA-Z])|\u00b0"
    rf"|(?<![a-zA-Z])(?:{FONT}\s*\{{\s*)?(?:degrees?|deg)(?![a-zA-Z])\s*\}}?"
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?: \\text\{ ([AP])M\})?", re.ASCII)
_CHOICE = re.compile(
    r"\s*(?:(?i:option|choice)\s+)?(?:\(([A-J])\)|\[([A-J])\]|([A-J])(?:[.):](?!\d)|\s*$))(.*)",
    re.DOTALL,
)
_DRESS = re.compile(rf"{FONT}|[{{}}$~*]|\\[,;:! ]|\\q?quad(?![a-zA-Z])")
_OTHER_CHOICE = re.compile(
    r"(?<![A-Za-z\\])[A-J](?![A-Za-z])|^\s*(?:[,;/&+=^_!']|and\b|is\b)"
    r"|(?i:\b(?:or|not|wrong|incorrect|false|maybe|either|neither)\b)"
)
_MAX_CHOICE_CHARS = 300
_VERDICT = re.compile(
    rf"(?:{FONT}\s*\{{)?\s*((?i:yes|no|true|false))\b[\s}}.]*(?:[,;:.](.*))?", re.DOTALL
)
_BUT = re.compile(r"\b(?:yes|no|not|true|false|but|or|maybe|if|unless)\b", re.IGNORECASE)
_UNIT = r"(?:[kcmn]?m|[km]?g|s|h|L|N|J|W|V|A|K|C|Pa|Hz|mol)(?:\s*\^\s*(?:\{\s*-?\d\s*\}|-?\d))?"
_UNITS = rf"{_UNIT}(?:\s*(?:/|\\cdot|\*)\s*{_UNIT})*"
_BARE_UNIT = re.compile(
    rf"(?P<number>.*[\d}})])(?:\s|~|\\[,;: ])+"
    rf"(?:(?P<unit>{_UNITS})|\\[dt]?frac\s*\{{\s*(?P<above>{_UNIT})\s*\}}\s*\{{\s*(?P<below>{_UNIT})\s*\}})"
)
_LETTER = re.compile(r"[a-zA-Z]")
_NO_LETTER = re.compile(rf"{FONT}\s*\{{[^{{}}]*\}}|\\[a-zA-Z]+")
_POINT = re.compile(r"[A-Z]'?\s*(?:=\s*)?(?:\\left\s*)?(\([^()]*,[^()]*\))")
_DECIMAL_COMMA = re.compile(r"-?0,\d+", re.ASCII)
_NONE = re.compile(rf"(?:{FONT}\s*\{{)?\s*(?i:none)[\s.}}]*")
_TO = re.compile(rf"(\d+)\s*(?:{FONT}\s*\{{\s*to\s*\}}|to)\s*(\d+)", re.ASCII)


def paired(reference: str, answer: str) -> tuple[str, str]:
    """Both in the writing that comparisons expect; an answer may come out empty."""
    if answer.isdigit() and reference.isdigit():
        return reference, answer
    gold, found = undress(reference), undress(answer)
    if max(len(gold), len(found)) > MAX_CHARS or gold == found:
        return gold, found
    if (chosen := _choice(gold)) and (other := _choice(found)):
        return chosen, other
    if (chosen := _yes_or_no(gold)) and (other := _yes_or_no(found)):
        return chosen, other
    gold, found = _at_one_clock(*_in_radians(gold, found))
    return gold, _like(gold, found)


def _choice(text: str) -> str:
    """The letter that a text chooses, whatever it says of that choice; empty if it is none."""
    if len(text) > _MAX_CHOICE_CHARS:
        return ""
    match = _CHOICE.fullmatch(_DRESS.sub(" ", text).strip())
    if match is None or _OTHER_CHOICE.search(match[4]):
        return ""
    return match[1] or match[2] or match[3]


def _yes_or_no(text: str) -> str:
    """The word of that kind that a text begins with, if it stands by it; else empty."""
    match = _VERDICT.fullmatch(text) if len(text) <= _MAX_CHOICE_CHARS else None
    if match is None or _BUT.search(match[2] or ""):
        return ""
    return match[1].lower()


def _in_radians(gold: str, found: str) -> tuple[str, str]:
    """Degrees in radians, where the other side says that it is in radians."""
    if "rad" not in gold and "rad" not in found:
        return gold, found
    for one, other in ((gold, found), (found, gold)):
        if _RADIANS.search(other) and _DEGREES.search(one):
            turned = _DEGREES.sub(lambda _: r"\cdot\frac{\pi}{180}", one)
            plain = _RADIANS.sub("", other).rstrip()
            return (turned, plain) if one is gold else (plain, turned)
    return gold, found


def _at_one_clock(gold: str, found: str) -> tuple[str, str]:
    """Times of day in minutes, where one of them at least says AM or PM."""
    times = _CLOCK.fullmatch(gold), _CLOCK.fullmatch(found)
    if times[0] is None or times[1] is None or not (times[0][3] or times[1][3]):
        return gold, found
    return _minutes(times[0], times[1][3]), _minutes(times[1], times[0][3])


def _minutes(time: re.Match[str], assumed: str | None) -> str:
    hour = int(time[1])
    half = time[3] or (assumed if 1 <= hour <= 12 else None)
    if half:
        hour = hour % 12 + (12 if half == "P" else 0)
    return str(hour * 60 + int(time[2]))


def _like(gold: str, found: str) -> str:
    """The answer without what a reference like this goes without."""
    if gold.startswith((r"\left(", "(")) and (point := _POINT.fullmatch(found)):
        return point[1]
    if ":" in gold and (ratio := _TO.fullmatch(found)):
        return f"{ratio[1]}:{ratio[2]}"
    if "," not in gold and _DECIMAL_COMMA.fullmatch(found):
        return found.replace(",", ".")
    if gold == r"\emptyset" and _NONE.fullmatch(found):
        return gold
    # Beside a letter, m may be another one.
    if _LETTER.search(_NO_LETTER.sub("", gold)):
        return found
    unit = _BARE_UNIT.fullmatch(found)
    if unit is None or _LETTER.search(_NO_LETTER.sub("", unit["number"])):
        return found
    named = unit["unit"] or f"{unit['above']}/{unit['below']}"
    return rf"{unit['number']} \text{{ {named}}}"
