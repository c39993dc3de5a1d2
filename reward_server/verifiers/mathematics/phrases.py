"""Says in signs what answers say in words."""

from __future__ import annotations

import re

_FONT = r"\\(?:text(?:bf|it|rm|normal)?|mathrm|mathbf|mbox)"
_LEAD = re.compile(
    rf"(?P<font>{_FONT}\s*\{{)?\s*(?:(?:so|thus|hence|therefore),?\s+)?(?:the\s+)?"
    r"(?:(?:(?:final|correct)\s+)?answer\s*(?:is|:|=)\s*:?|"
    r"(?:total|(?:sum|number|value)\s+of\s+[a-z ]{1,40}|result|area|volume|perimeter|length|"
    r"probability|value|sum|solution)\s*:)\s*",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"(?:there\s+(?:is|are|exists?)\s+)?no\s+(?:real\s+)?(?:solutions?|roots?)(?:\s+exists?)?"
    r"|no\s+real\s+numbers?(?:\s+solutions?)?|(?:it|the\s+equation)\s+has\s+no\s+(?:real\s+)?(?:solutions?|roots?)"
    r"|(?:the\s+)?(?:empty|null)\s+set",
    re.IGNORECASE,
)
_WHOLE = re.compile(rf"(?:{_FONT}\s*\{{([^{{}}]*)\}}|([A-Za-z -]+))[\s.]*")
_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBERS = (
    {name: value for value, name in enumerate(_ONES)}
    | {name: 10 * value for value, name in enumerate(_TENS, 2)}
    | {"one hundred": 100, "hundred": 100}
    | {
        f"{tens} {ones}": 10 * value + digit
        for value, tens in enumerate(_TENS, 2)
        for digit, ones in enumerate(_ONES[1:10], 1)
    }
)
_GAP = " ?"
_GAPS = re.compile(r"(?:\s|\\[,;:! ])+")
_BUILDER = re.compile(
    rf"(?:\\left\s*)?\\\{{{_GAP}([a-zA-Z]){_GAP}(?:\\in{_GAP}(?:\\mathbb\s*\{{?R\}}?|\\R|\u211d){_GAP})?"
    rf"(?:\\mid|\\vert|\\middle\s*\||\||:){_GAP}(?P<condition>.*?){_GAP}(?:\\right\s*)?\\\}}"
)
_INEQUALITY = re.compile(r"[<>\u2264\u2265\u2260]|\\(?:leq?|geq?|leqslant|geqslant|lt|gt|neq?)\b")
_JOINT = re.compile(
    r"\s*,?\s*(?:\\text\s*\{\s*(?P<word>and|or)\s*\}|(?<![a-zA-Z\\])(?P<bare>and|or)(?![a-zA-Z]))\s*"
)
_LETTER = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])")
_COMMAND = re.compile(r"\\[a-zA-Z]+")


def reworded(text: str) -> str:
    """The text in signs, where its words have a meaning that is fixed."""
    text = _joined(_condition(_without_lead(text)))
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        return r"\emptyset" if text in (r"\{\}", r"\varnothing") else text
    words = " ".join((whole[1] or whole[2] or "").split()).removesuffix(".")
    if _NOTHING.fullmatch(words):
        return r"\emptyset"
    spelled = words.lower().replace("-", " ")
    unsigned = spelled.removeprefix("negative ").removeprefix("minus ")
    number = _NUMBERS.get(unsigned)
    if number is None:
        return text
    return str(number) if unsigned == spelled else f"-{number}"


def _without_lead(text: str) -> str:
    r"""`42` of `\text{The answer is }42`."""
    lead = _LEAD.match(text)
    if lead is None:
        return text
    rest = text[lead.end() :]
    if lead["font"]:
        head, closing, tail = rest.partition("}")
        rest = head + tail if closing else rest
    return rest.strip() or text


def _condition(text: str) -> str:
    r"""`x > 1` of `\{x \mid x > 1\}`, where x is a real number."""
    if not text.startswith((r"\{", r"\left")):
        return text
    # With gaps of one blank each, the pattern takes linear time.
    built = _BUILDER.fullmatch(_GAPS.sub(" ", text))
    if built is None:
        return text
    condition = built["condition"]
    letters = _LETTER.findall(_COMMAND.sub(" ", condition))
    is_plain = _INEQUALITY.search(condition) and built[1] in letters and "mathbb" not in condition
    return condition if is_plain and r"\{" not in condition else text


def _joined(text: str) -> str:
    """Inequalities in one letter, joined by signs in place of "and" and "or"."""
    if not ("and" in text or "or" in text) or not _INEQUALITY.search(text):
        return text
    pieces = _JOINT.split(text)
    sides, words = pieces[::3], [a or b for a, b in zip(pieces[1::3], pieces[2::3], strict=True)]
    letters = {letter for side in sides for letter in _LETTER.findall(_COMMAND.sub(" ", side))}
    if len(set(words)) != 1 or len(letters) != 1 or not all(map(_INEQUALITY.search, sides)):
        return text
    return (r" \land " if words[0] == "and" else r" \lor ").join(sides)
