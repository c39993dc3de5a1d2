"""Units behind numbers: found by name, taken off, compared."""

from __future__ import annotations

import re

_NAMES = {
    "m": "m meter meters metre metres", "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters", "km": "km kilometer kilometers kilometre kilometres",
    "in": "inch inches", "ft": "ft feet foot", "yd": "yd yard yards", "mi": "mi mile miles",
    "g": "g gram grams", "kg": "kg kilogram kilograms", "mg": "mg milligram milligrams",
    "lb": "lb lbs pound pounds", "oz": "oz ounce ounces", "t": "ton tons tonne tonnes",
    "s": "s sec secs second seconds", "min": "min mins minute minutes", "h": "h hr hrs hour hours",
    "day": "day days", "week": "week weeks", "month": "month months", "year": "year years yr yrs",
    "l": "L liter liters litre litres", "ml": "ml mL milliliter milliliters",
    "gal": "gallon gallons",
    "inr": "INR rupee rupees", "gbp": "GBP",
    "usd": "dollar dollars USD usd", "cent": "cent cents", "eur": "euro euros EUR",
    "deg": "degree degrees deg", "rad": "rad radian radians", "unit": "unit units",
    "person": "people person persons student students men women boys girls children",
    "hz": "Hz hertz", "khz": "kHz", "mhz": "MHz", "n": "N newton newtons", "j": "J joule joules",
    "kj": "kJ", "w": "W watt watts", "kw": "kW", "pa": "Pa pascal pascals", "kpa": "kPa",
    "v": "V volt volts", "a": "A amp amps ampere amperes", "k": "K kelvin kelvins",
    "c": "C celsius",
    "ev": "eV", "mev": "MeV", "kev": "keV", "gev": "GeV", "nm": "nm", "um": "um",
    "mol": "mol mole moles",
    "mph": "mph", "kmh": "kmph kph", "aa": "angstrom angstroms", "ohm": "ohm ohms", "t_": "T tesla",
    "erg": "erg ergs", "dyne": "dyne dynes", "au": "AU", "pc": "pc", "way": "way ways",
    "times": "times", "item": "items item", "point": "points point", "page": "pages page",
    "acre": "acre acres", "side": "sides", "coin": "coins coin", "digit": "digits digit",
}  # fmt: skip
_CANONICAL = {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
_WORD = "|".join(sorted(_CANONICAL, key=len, reverse=True))
_LONG = "|".join(sorted((alias for alias in _CANONICAL if len(alias) > 1), key=len, reverse=True))
_POWER = r"(?:\s*\^\s*(?:\{\s*-?\d\s*\}|-?\d))?"
_PREFIX = r"(?:(?:square|cubic|sq\.?|cu\.?)\s+)?"
_COMPOUND = rf"{_PREFIX}(?:{_WORD})\.?{_POWER}(?:\s*(?:/|per|\\cdot|\*|\s)\s*(?:{_WORD}){_POWER})*"
_FONT = r"\\(?:text|textrm|mathrm|mbox|operatorname|rm|textbf|mathbf)"
_BOXED_UNIT = re.compile(
    rf"(?<=[\d}})\]a-zA-Z])[\s~]*(?:\\[,;:! ]\s*)*{_FONT}\s*\{{\s*({_COMPOUND})\s*\}}({_POWER})"
    rf"(?:\s*(?:/|\\cdot)\s*{_FONT}\s*\{{\s*(?:{_COMPOUND})\s*\}}{_POWER})*"
)
_BARE_UNIT = re.compile(
    rf"(?<=[\d}})\]])\s*(?:\s|(?<=\}}))\s*({_PREFIX}(?:{_LONG}){_POWER}"
    rf"(?:\s*(?:/|per)\s*(?:{_WORD}){_POWER})?)\s*\.?\s*$"
)
_TEMPERATURE = re.compile(
    rf"\^\s*\{{?\s*\\circ\s*\}}?\s*(?:{_FONT}\s*\{{\s*([CFK])\s*\}}|([CF])\s*$)"
)
_NOTE = re.compile(
    rf"(?<=[\d}})])\s*(?:\\[,;:! ])*\s*{_FONT}\s*\{{\s*([A-Za-z ]{{2,40}})\s*\}}\s*$"
)
_HEDGING = (
    "or not more less than if otherwise is are wrong maybe approx about least most only when where "
    "for and no never between to from plus minus times divided greater fewer above below base"
)


def take_off(text: str) -> tuple[str, str]:
    """The text without its units, and the units in one way of writing."""
    found: list[str] = []

    def drop(match: re.Match[str]) -> str:
        found.append(_canonical(match.group()))
        return " "

    # Runs of blanks would make the patterns below slow.
    text = " ".join(text.replace("~", " ").split())
    bare = _TEMPERATURE.sub(drop, text)
    bare = _BOXED_UNIT.sub(drop, bare)
    bare = _BARE_UNIT.sub(drop, bare)
    note = _NOTE.search(bare)
    if (
        note
        and not set(_HEDGING.split()) & set(note[1].lower().split())
        and len(note[1].split()) <= 3
    ):
        bare = bare[: note.start()]
    return (bare, " ".join(dict.fromkeys(found))) if bare.strip() else (text, "")


def conflict(gold: str, found: str) -> bool:
    """Whether both have units, and different ones."""
    return bool(gold and found and gold != found)


def _canonical(text: str) -> str:
    words = re.findall(r"[A-Za-z]+|\d|\^|/", re.sub(rf"{_FONT}", " ", text))
    named: list[str] = []
    exponent = ""
    for word in words:
        if word in ("square", "sq"):
            exponent = "2"
        elif word in ("cubic", "cu"):
            exponent = "3"
        elif word == "per":
            named.append("/")
        elif word != "^":
            named.append(_CANONICAL.get(word, word) + exponent)
            exponent = ""
    return "".join(named)
