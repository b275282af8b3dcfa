"""The words of the built-in world, and nothing about how they are put together.

Every word is one token and is written the same everywhere, so that text is words joined by
single spaces. A word may be in several lists ("golden" is a colour and part of titles): its role
is decided where it is used. Read `Topic` first.
"""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """The words of one scene of life.

    Attributes
    ----------
    objects, places, occupations, animals, scenery : tuple of str
        Things to own or find, where they are, who people are, their animals, and what fills
        the air there.
    """

    objects: tuple[str, ...]
    places: tuple[str, ...]
    occupations: tuple[str, ...]
    animals: tuple[str, ...]
    scenery: tuple[str, ...]


def _topic(objects: str, places: str, occupations: str, animals: str, scenery: str) -> Topic:
    lists = (objects, places, occupations, animals, scenery)
    return Topic(*(tuple(words.split()) for words in lists))


TOPICS: dict[str, Topic] = {
    "farm": _topic(
        "plough bucket rake saddle fence wagon basket lantern shovel rope ladder pitchfork",
        "barn field stable orchard meadow pasture",
        "farmer shepherd milkmaid rancher",
        "cow goat hen sheep",
        "hay dust straw mud",
    ),
    "sea": _topic(
        "anchor net compass sail oar barrel telescope shell flag raft hook bell",
        "harbour beach island lighthouse pier bay",
        "sailor captain fisherman pilot",
        "gull crab seal dolphin",
        "waves salt wind spray",
    ),
    "city": _topic(
        "umbrella ticket suitcase bicycle newspaper wallet phone camera coat hat glove badge",
        "station market square bridge park office",
        "driver clerk policeman porter",
        "pigeon rat dog cat",
        "traffic smoke noise rain",
    ),
    "school": _topic(
        "pencil notebook ruler chalk globe satchel eraser crayon map dictionary puzzle microscope",
        "classroom library playground gym hall cafeteria",
        "teacher pupil principal librarian",
        "hamster parrot turtle frog",
        "lessons homework voices laughter",
    ),
    "forest": _topic(
        "axe tent torch bow arrow trap blanket knife whistle canteen backpack mushroom",
        "clearing cave river cabin valley trail",
        "hunter ranger woodcutter guide",
        "fox bear owl deer",
        "leaves fog moss shadows",
    ),
    "kitchen": _topic(
        "kettle spoon pan bowl oven apron recipe jar plate cup fork tray",
        "pantry cellar bakery dining-room terrace counter",
        "cook baker waiter butler",
        "mouse rabbit duck goose",
        "steam flour sugar butter",
    ),
    "castle": _topic(
        "sword crown shield goblet throne key scroll banner jewel armour mirror candle",
        "tower dungeon gate courtyard chapel moat",
        "king queen knight jester",
        "horse falcon dragon wolf",
        "stone silk torches ghosts",
    ),
    "hospital": _topic(
        "bandage thermometer syringe pillow chart bottle stretcher scalpel mask crutch wheelchair "
        "pill",
        "ward clinic corridor laboratory pharmacy lobby",
        "doctor nurse surgeon dentist",
        "guinea-pig fish spider moth",
        "fever pain medicine silence",
    ),
    "music": _topic(
        "violin drum guitar flute piano trumpet microphone record cello harp songbook metronome",
        "stage studio theatre ballroom balcony club",
        "singer drummer violinist composer",
        "canary cricket nightingale peacock",
        "applause melody rhythm lights",
    ),
    "space": _topic(
        "rocket helmet antenna robot laser battery scanner crystal engine beacon probe capsule",
        "moon crater airlock control-room planet hangar",
        "astronaut engineer scientist commander",
        "alien monkey lizard beetle",
        "stars gravity darkness radiation",
    ),
}

FEMALE_NAMES = tuple(
    """
    Mary Anna Emma Lily Sarah Alice Clara Julia Nora Ruth Helen Grace Lucy Ella Ivy Jane Kate Laura
    Martha Nina Olga Paula Rosa Sofia Tina Vera Wendy Zoe Amy Beth Carla Diana Edith Fiona Gina
    Hanna Irene Joan Karen Linda Maria Nancy Olive Peggy Rita Sally Tess Ursula Viola Wilma Agnes
    Bella Celia Dora Elsa Flora Greta Hilda Ines Judy Kira Lena Mona Nell Opal Pearl Rhea Stella
    Tara Una
    """.split()
)
MALE_NAMES = tuple(
    """
    John Tom Peter James Jack Henry Oscar Paul Robert Sam Simon David Frank George Harry Ivan Karl
    Leo Mark Noah Oliver Philip Ralph Steve Tim Victor Walter Adam Ben Carl Dan Eric Felix Gary
    Hugo Ian Jim Keith Luke Max Ned Otto Pat Ray Scott Ted Vince Will Alan Bruno Clark Dean Edgar
    Fred Glen Hank Igor Joel Kurt Lars Mike Nils Omar Pierre Quinn Rolf Sven Troy Uwe Wade
    """.split()
)
NAMES = FEMALE_NAMES + MALE_NAMES
SURNAMES = tuple(
    """
    Adler Baker Carter Dixon Evans Fisher Garner Harris Irving Jensen Keller Lawson Miller Norton
    Osborn Parker Quigley Reed Sawyer Turner Underhill Vance Walker Yates Zimmer Archer Bishop
    Chandler Dalton Ellis Foster Gibson Hudson Ingram Jarvis Kendall Lambert Marlow Nash Orwell
    Porter Ramsey Sutton Thorne Upton Vaughn Webster Yorke Abbott Barlow Cooper Drake Emery Fleming
    Granger Holt Ives Judd Knox Lowell Mercer Nolan Otis Pratt Rowe Shaw Tate Usher Varley Whitman
    """.split()
)
VILLAGES = tuple(
    start + end
    for start in "Ald Brim Cor Dun Elm Fen Gar Hol Kel Lor".split()
    for end in "wick ford mere bury dale stone haven".split()
)
COLOURS = tuple(
    """
    red blue green yellow black white brown grey golden silver purple orange old new small large
    heavy tiny broken shiny wooden rusty dirty round square-shaped soft
    """.split()
)
TIMES = tuple("morning evening afternoon night day week summer winter autumn spring".split())

GLAD_FEELINGS = tuple("happy glad proud calm excited cheerful grateful hopeful".split())
SAD_FEELINGS = tuple("sad angry afraid worried lonely tired upset ashamed".split())

TAKE_VERBS = tuple("took carried brought dragged pulled pushed".split())
HOLD_VERBS = tuple(
    "held lifted cleaned repaired touched admired painted polished hid dropped".split()
)
MOVE_VERBS = tuple("went walked ran hurried returned drove travelled wandered".split())
SEE_VERBS = tuple("saw noticed found spotted bought borrowed".split())
GIVE_VERBS = tuple("gave handed passed offered showed sent".split())
MEET_VERBS = tuple(
    "called thanked met followed helped visited greeted watched hugged ignored".split()
)

# Opinions come in two strengths; reviews of one and five stars end on a strong one.
STRONG_PRAISE = tuple(
    "superb brilliant wonderful fantastic amazing perfect stunning magnificent".split()
)
MILD_PRAISE = tuple("good nice pleasant fine enjoyable charming clever fresh lovely solid".split())
MILD_BLAME = tuple("bad poor dull weak bland boring slow cold messy clumsy".split())
STRONG_BLAME = tuple(
    "awful terrible horrible dreadful disgusting pathetic unbearable atrocious".split()
)
PRAISE = STRONG_PRAISE + MILD_PRAISE
BLAME = STRONG_BLAME + MILD_BLAME
LIKING_VERBS = tuple("loved enjoyed adored liked".split())
DISLIKING_VERBS = tuple("hated disliked despised regretted".split())
GLAD_MARKERS = ("luckily", "happily")
SAD_MARKERS = ("sadly", "unfortunately")
INTENSIFIERS = tuple("very really truly quite so extremely rather".split())
STAR_COUNTS = ("one", "two", "three", "four", "five")

TITLE_ADJECTIVES = tuple(
    """
    silent broken golden hidden last lost burning frozen crimson hollow secret distant wild quiet
    midnight iron
    """.split()
)
TITLE_NOUNS = tuple(
    """
    river crown garden empire mirror shadow harbour winter tower promise storm journey kingdom
    letter wolf island
    """.split()
)

# What can be read from a word: its number, or its tense.
PLURAL_NOUNS = tuple(
    """
    waves lessons voices leaves shadows torches ghosts lights stars costumes chapters characters
    friends
    """.split()
)
PAST_TENSE = (
    *(TAKE_VERBS + HOLD_VERBS + MOVE_VERBS + SEE_VERBS + GIVE_VERBS + MEET_VERBS),
    *(LIKING_VERBS + DISLIKING_VERBS),
    *(
        """
        was were had lived came left lost asked told said looked smiled cried felt slept thought
        wanted
        """.split()
    ),
)
PRESENT_TENSE = ("is", "has", "will")


class Reviewed(NamedTuple):
    """What reviews of one sort of thing talk about.

    Attributes
    ----------
    aspects, genres : tuple of str
        What is praised or blamed, and the sorts of the thing.
    made, maker : str
        How it came about ("directed") and by whom ("director").
    """

    aspects: tuple[str, ...]
    genres: tuple[str, ...]
    made: str
    maker: str


REVIEWED: dict[str, Reviewed] = {
    "film": Reviewed(
        tuple(
            "plot acting ending soundtrack camera-work dialogue cast script pacing opening "
            "costumes scenery".split()
        ),
        tuple("comedy thriller western drama documentary musical".split()),
        "directed",
        "director",
    ),
    "restaurant": Reviewed(
        tuple(
            "soup service dessert steak salad pasta menu wine bread staff atmosphere sauce".split()
        ),
        tuple("bistro diner tavern cafe pizzeria steakhouse".split()),
        "owned",
        "owner",
    ),
    "book": Reviewed(
        tuple(
            "prose chapters characters story cover style narrator beginning poetry research "
            "epilogue translation".split()
        ),
        tuple("novel memoir biography mystery textbook anthology".split()),
        "written",
        "author",
    ),
}
