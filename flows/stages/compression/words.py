"""Words: which say nothing, which say little, and which are forms of one another.

The rules are English; words of other languages pass through them unchanged for the most part. Where a
script has no spaces, see `query`.
"""

import re


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


STOP_WORDS = _set(
    "a about all also an and any are as at be been being but by can could d did do does doing don done "
    "for from get gets getting got had has have having he her here hers him his how i if in into is it "
    "its itself just like ll m many may me might more most much my name named no nor not of off on once "
    "only or other our out over own per re s same shall she should so some such t than that the their "
    "theirs them then there these they this those through to too under until up upon us ve very was we "
    "were what whats when where which while who whom whos whose why will with would you your yours call "
    "called doesn didn isn aren wasn weren"
)
"""Words that say nothing about the subject of a question."""

_GENERIC = (
    "able accept add age allow american appear area ask back become begin best better big book bring "
    "build buy case change city come consider continue country create cut day decide different early end "
    "expect fact fall family few film find first follow form full game get give go good government great "
    "group grow hand happen head hear help high home hour house important include keep kind know large "
    "last late lead learn leave left let life line list little live local long lose love low main make "
    "mean meaning meet member money month move movie national need new next night number offer old open "
    "order part pass pay people person place play point power problem provide public question raise reach "
    "read real remain remember report right room run same school season see seem send series serve "
    "service set show side sit small song speak spend stand start state stay stop story student suggest "
    "system take talk team tell thing think time today top total try turn type understand use used value "
    "wait walk want war watch water way week win word work world write year young"
)

_FORMS = (
    "win won winner winning|write wrote written writer author|sing sang sung singer song|"
    "begin began begun beginning start started|know knew known|grow grew grown growth|draw drew drawn|"
    "fly flew flown flight|throw threw thrown|speak spoke spoken|break broke broken|"
    "choose chose chosen choice|steal stole stolen|drive drove driven driver|ride rode ridden|"
    "rise rose risen|give gave given|take took taken|make made maker|build built builder building|"
    "buy bought buyer|bring brought|think thought|teach taught teacher|catch caught|fight fought|"
    "find found|hold held holder|lead led leader|leave left|lose lost loser loss|meet met meeting|"
    "pay paid payment|say said|sell sold seller sale|send sent|sit sat|sleep slept|spend spent|"
    "stand stood|tell told|run ran runner|come came|become became|go went gone|see saw seen|"
    "eat ate eaten|fall fell fallen|hide hid hidden|shoot shot|strike struck|swim swam swum|"
    "wear wore worn|bear bore born birth|die died dead death|"
    "marry married marriage wife husband spouse|man men|woman women|child children|person people|"
    "foot feet|tooth teeth|mouse mice|life lives|keep kept|feel felt|deal dealt|mean meant|"
    "one 1 first 1st|two 2 second 2nd|three 3 third 3rd|four 4 fourth 4th|five 5 fifth 5th|"
    "six 6 sixth 6th|seven 7 seventh 7th|eight 8 eighth 8th|nine 9 ninth 9th|ten 10 tenth 10th|"
    "twelve 12 twelfth 12th|high height tall|long length|deep depth|wide width|old age aged|"
    "big large largest biggest|usa us america states|uk british britain kingdom|film movie|"
    "episode episodes ep|end ended finish finished|create created creator|tv television|"
    "located location situated lies|delete remove|return returns get"
)

_VOWEL = re.compile("[aeiouy]")
_ENDINGS = _listed(
    "ification ifi ational ization isation fulness ousness iveness ation ition ement ments ingly ment "
    "ness ance ence able ible ists ship ally ator ist ism ion ian ity ive ize ise ful ous ant ent al er "
    "or ar ic li at i"
)


def stem(word: str) -> str:
    """The word without plural, tense and a silent ending; lower case in, lower case out."""
    if len(word) <= 3:
        return word
    word = _singular(word)
    if word.endswith("ing") and len(word) > 5 and _VOWEL.search(word[:-3]):
        word = _undoubled(word[:-3])
    elif word.endswith("ied") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("ed") and len(word) > 4 and _VOWEL.search(word[:-2]):
        word = _undoubled(word[:-2])
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    if word.endswith("y") and len(word) > 3:
        word = word[:-1] + "i"
    return word


def root(stemmed: str) -> str:
    """A stem without the ending that makes a noun of a verb, an adjective of a noun, and so on."""
    for ending in _ENDINGS:
        if stemmed.endswith(ending) and len(stemmed) - len(ending) >= 4:
            return stemmed[: -len(ending)]
    return stemmed


def forms(word: str, stemmed: str) -> frozenset[str]:
    """Irregular forms and near synonyms of a word, itself included; empty where none are known."""
    return _BY_FORM.get(word) or _BY_FORM.get(stemmed) or frozenset()


def is_generic(stemmed: str) -> bool:
    """Whether a stem is so common in English that finding it says little, however rare it is here."""
    return stemmed in _GENERIC_STEMS


def near(one: str, other: str) -> bool:
    """Whether two words are one misspelt: a letter apart, two in long words, or letters in another order."""
    allowed = 2 if len(one) >= 8 else 1
    if abs(len(one) - len(other)) > allowed:
        return False
    return sorted(one) == sorted(other) or _distance(one, other) <= allowed


def _distance(one: str, other: str) -> int:
    """Letters to change, add or leave out to make one word of the other."""
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, against in enumerate(other, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (letter != against)))
        above = line
    return above[-1]


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "ches", "shes", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _undoubled(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz" else word


def _by_form() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for group in _FORMS.split("|"):
        words = frozenset(group.split())
        for word in words:
            found[word] = found.get(word, frozenset()) | words
    return found


_BY_FORM = _by_form()
_GENERIC_STEMS = frozenset(stem(word) for word in _GENERIC.split())
