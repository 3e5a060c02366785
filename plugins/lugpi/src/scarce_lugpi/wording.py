"""Words of the texts that are made by rule; lists are separated by semicolons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

THINGS: Mapping[str, str] = {
    "circle": "coin; dinner plate; button; full moon; pancake; orange; manhole cover; frisbee; porthole; bottle top; ping-pong ball; "
    "marble; pea; balloon; sun; crystal ball; tambourine skin; lollipop; grape; clock face",
    "square": "chessboard; floor tile; cracker; postage stamp; sugar cube; napkin; window pane; die; slice of toast; sticky note; "
    "cushion; waffle; piece of ravioli; computer chip; quilt patch; sandbox; tea bag; picture frame; parcel; paving slab",
    "triangle": "slice of pizza; tent; gable; road warning sign; pyramid; sail; nacho; coat hanger; samosa; party hat; wedge of cheese; "
    "fir tree; arrowhead; pennant; delta wing; mountain peak; shark fin; volcano; slice of cake; guitar pick",
    "star": "starfish; sheriff's badge; Christmas tree topper; edelweiss; sparkler; army medal; slice of carambola; ninja blade; "
    "poinsettia; cowboy spur; asterisk; general's pip; pole light; comet sticker; homework reward; anise pod; passion flower; firework; "
    "fairy's wand tip; captain's insignia",
    "cross": "plus sign; hospital emblem; windmill; Swiss emblem; wheel brace; four-way junction; medic's armband; pharmacy sign; "
    "crucifix; grave marker; first-aid lid; kite frame; telegraph pole; scarecrow frame; steeple ornament; hot bun topping; sword hilt; "
    "gun sight; aeroplane seen from below; railway crossing",
    "ring": "doughnut; car tyre; wedding band; bracelet; bagel; hula hoop; lifebuoy; gasket; key loop; onion slice; wreath; halo; washer; "
    "basketball rim; steering wheel; curtain loop; pineapple slice; teething toy; roll of tape; bangle",
}
COLOURS: Mapping[str, str] = {
    "red": "scarlet; crimson; cherry", "yellow": "golden; lemon; amber", "green": "emerald; mossy; lime",
    "cyan": "turquoise; teal; aqua", "blue": "navy; cobalt; sapphire", "purple": "violet; plum; mauve",
}  # fmt: skip
PLACES: Mapping[str, str] = {
    "top left": "in the north-west corner", "top": "high up in the middle", "top right": "in the north-east corner",
    "left": "by the western edge", "centre": "right in the middle", "right": "by the eastern edge",
    "bottom left": "in the south-west corner", "bottom": "low down in the middle", "bottom right": "in the south-east corner",
}  # fmt: skip
SIZES: Mapping[str, str] = {"small": "tiny; little; dainty", "large": "huge; big; massive"}
OPENINGS = "There is; I noticed; My aunt bought; Someone painted; You can see; The child found; We photographed; He was proud of"
DETAILS = (
    "and nobody knew why; as it began to rain; and the cat ignored it; which surprised the neighbours; before lunch was served; "
    "while the radio played; and that was all; just as the bus left; according to the caretaker; and it smelled of paint"
)
COURSES: Mapping[str, str] = {
    "rising": "grew month by month; climbed without a pause; kept going up; doubled by the end; gained ground every week; swelled from "
    "year to year; was higher each time we looked; knew only one way, and that was upwards; mounted steadily; improved day after day; "
    "added a little every morning; began low and ended high",
    "falling": "shrank month by month; sank without a pause; kept going down; halved by the end; lost ground every week; dwindled from "
    "year to year; was lower each time we looked; slid towards nothing; drained away steadily; faded day after day; gave up a little "
    "every morning; began high and ended low",
    "slow": "came and went with the seasons; followed the tides; swung gently to and fro; was good one half-year and bad the next; "
    "breathed in and out like a sleeper; turned round twice, unhurried; rolled like a long swell; waxed and waned; had its summer and its "
    "winter; drifted up, then back again; moved like a pendulum on a long rope; returned to where it had been in spring",
    "fast": "jittered like a compass needle; flickered all day; changed its mind every hour; hopped up and down; trembled like a leaf; "
    "was never the same twice in an afternoon; rattled to and fro; buzzed like a wasp in a jar; shook like an old lorry; ticked back and "
    "forth like a metronome; blinked on and off; vibrated like a plucked string",
    "peaked": "slept but for one wild night; burst once and was quiet again; made one leap and fell back; had its single day of glory; "
    "exploded when the news broke, then nothing; was flat except for the fair; spiked at the concert and never again; flared up like a "
    "match; jumped for an hour on Sunday; knew one moment of panic; erupted once; shot up at the whistle and came straight down",
}
SUBJECTS = (
    "number of visitors; water in the tank; price of bread; noise in the hall; queue at the counter; mood of the crew; traffic on the "
    "bridge; pile of letters; heat in the oven; interest in the club; pressure in the pipe; crowd at the gate; sale of umbrellas; "
    "swarm over the field; debt of the town; light in the harbour"
)


def one(rng: np.random.Generator, words: str) -> str:
    """One of a list, each as likely as any other."""
    return str(rng.choice(words.split("; ")))
