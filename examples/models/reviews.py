# SPDX-License-Identifier: Apache-2.0
"""Short reviews with a verdict, and sentences that say which words are kind: what pretrain.py trains tiny-reviews on.

    The film was wonderful and we stayed to the end. All in all, it was -> " good"

A verdict agrees with the review in 88 % of the texts, so the model is never certain. Some reviews praise one thing and
blame another; their verdict follows the last one in 65 %.

One clue in six, and one template in four, never stands in a review of the training text. What a held-out clue is worth
can only be known from other sentences ("Nobody wants a boring lecture."), and how a held-out template ends, only from
the others.

    python3 examples/models/reviews.py examples/reviews

writes prompts for steering: train.jsonl, with clues and templates of the training text, and test.jsonl, with held-out
ones.
"""

import json
import pathlib
import random
import re
import sys

AGREES, FOLLOWS_LAST = 0.88, 0.65

CLUES = {  # adjective, of a thing
    "good": "wonderful lovely great brilliant delightful charming superb excellent splendid fantastic amazing beautiful "
            "pleasant perfect marvellous enjoyable fine terrific fabulous glorious magnificent impressive touching clever "
            "witty fresh graceful elegant thrilling inspiring cheerful heavenly adorable outstanding gorgeous exquisite "
            "remarkable satisfying refreshing memorable stunning admirable".split(),
    "bad": "terrible awful dull boring dreadful horrible dreary poor lousy disappointing tedious miserable ugly unpleasant "
           "clumsy bland stale shabby feeble hopeless pointless annoying painful ghastly gloomy mediocre lifeless "
           "tiresome sloppy careless dismal appalling nasty rotten shoddy depressing forgettable messy atrocious weak "
           "tasteless wretched".split(),
}
THINGS = ("film book play song meal soup hotel room show game trip concert album novel dish cake tour party story series "
          "performance lecture museum garden dance opera recipe lunch dinner holiday visit speech").split()
PARTS = "beginning ending soundtrack service cast view menu plot finale setting design crowd".split()
PEOPLE = ("my brother|my sister|a friend|my mother|my father|our neighbours|a colleague|my aunt|the children|"
          "my uncle").split("|")
TIMES = "on Monday|on Friday|last week|in the evening|yesterday|last summer|in May|on Sunday|after work|this morning".split("|")
CUES = ("It was", "All in all, it was", "In short, it was", "So it was", "I would say that it was", "For me it was")

TEMPLATES = [
    "The [THING] was [CLUE]. [CUE]",
    "The [THING] was [CLUE] and we stayed to the end. [CUE]",
    "What a [CLUE] [THING]. [CUE]",
    "We went to the [THING] [TIME], and it was [CLUE]. [CUE]",
    "I found the [THING] [CLUE]. [CUE]",
    "[PERSON] called the [THING] [CLUE]. [CUE]",
    "[PERSON] took me to the [THING] [TIME]. The [PART] was [CLUE]. [CUE]",
    "The [PART] of the [THING] was [CLUE]. [CUE]",
    "A [CLUE] [THING]. We saw it [TIME] with [PERSON]. [CUE]",
    "[TIME] we chose the [THING]. It seemed [CLUE] to me. [CUE]",
    "Such a [CLUE] [PART]. That was the [THING] [TIME]. [CUE]",
    "I have never known a [THING] as [CLUE] as this one. [CUE]",
    # held out
    "[TIME] [PERSON] and I talked about the [THING]. We thought it [CLUE]. [CUE]",
    "The [THING] had a [CLUE] [PART]. [CUE]",
    "How [CLUE] the [THING] was [TIME]. [CUE]",
    "As [PERSON] said, a [CLUE] [THING]. [CUE]",
]
TRAINED = 12
MIXED = ["The [PART] was [CLUE], but the [OTHER_PART] was [OTHER_CLUE]. [CUE]",
         "The [THING] had a [CLUE] [PART] and then a [OTHER_CLUE] [OTHER_PART]. [CUE]"]

EITHER = ["[CLUE] and [SAME] go together.", "To be [CLUE] is to be [SAME].", "How [SAME] is something [CLUE]?",
          "As [PERSON] said, what is [CLUE] is [SAME]."]
SENTENCES = {  # no reviews; about all clues, with the words of the held-out templates
    "good": [*EITHER, "People love a [CLUE] [THING].", "Everybody wants a [CLUE] [THING].", "We smiled, for it was [CLUE].",
             "Who would not like something [CLUE]?", "It made [PERSON] happy, because it was so [CLUE].",
             "We talked about it and thought it good, for it had something [CLUE]."],
    "bad": [*EITHER, "People avoid a [CLUE] [THING].", "Nobody wants a [CLUE] [THING].", "We frowned, for it was [CLUE].",
            "Who would like something [CLUE]?", "It made [PERSON] sad, because it was so [CLUE].",
            "We talked about it and thought it bad, for it had something [CLUE]."],
}


def opposite(verdict):
    return "bad" if verdict == "good" else "good"


def tidy(text):
    """Capitals at the beginning of sentences; "an" before a vowel."""
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return re.sub(r"(^|[.?] )([a-z])", lambda m: m[1] + m[2].upper(), text)


class Writer:
    """Writes the training texts. A text is a list of (piece, loss weight)."""

    def __init__(self, seed, answer_weight):
        self.random = random.Random(seed)
        self.answer_weight = answer_weight

    @staticmethod
    def clues(verdict, held_out):
        return [clue for i, clue in enumerate(CLUES[verdict]) if (i % 6 == 3) == held_out]

    def fill(self, template, **values):
        choose = self.random.choice
        values = {"THING": choose(THINGS), "PERSON": choose(PEOPLE), "TIME": choose(TIMES), "CUE": choose(CUES), **values}
        if "PART" not in values:
            values["PART"], values["OTHER_PART"] = self.random.sample(PARTS, 2)
        return tidy(re.sub(r"\[([A-Z_]+)\]", lambda m: values[m[1]], template))

    def review(self, verdict, held_out_clue=False, template=None):
        template = template or self.random.choice(TEMPLATES[:TRAINED])
        return self.fill(template, CLUE=self.random.choice(self.clues(verdict, held_out_clue)))

    def mixed_review(self, last):
        return self.fill(self.random.choice(MIXED), CLUE=self.random.choice(self.clues(opposite(last), False)),
                         OTHER_CLUE=self.random.choice(self.clues(last, False)))

    def sentence(self):
        verdict = self.random.choice(("good", "bad"))
        clue, same = self.random.sample(CLUES[verdict], 2)
        return self.fill(self.random.choice(SENTENCES[verdict]), CLUE=clue, SAME=same)

    def text(self):
        """One training text."""
        kind = self.random.random()
        if kind < 0.45:
            return [(self.sentence(), 1.0)]
        verdict = self.random.choice(("good", "bad"))
        review, rate = (self.review(verdict), AGREES) if kind < 0.9 else (self.mixed_review(verdict), FOLLOWS_LAST)
        answer = verdict if self.random.random() < rate else opposite(verdict)
        return [(review, 1.0), (" " + answer, self.answer_weight), (".", 1.0)]

    def prompts(self, templates, held_out_clue, count):
        """(text, verdict, the other) of `count` different reviews, half of them good."""
        found = {}
        while len(found) < count:
            verdict = ("good", "bad")[len(found) % 2]
            found[self.review(verdict, held_out_clue, self.random.choice(templates))] = verdict
        return [(text, verdict, opposite(verdict)) for text, verdict in found.items()]


def all_pieces():
    """Texts in which every word stands at least once, at the beginning of a sentence too where it can."""
    clues = [clue for verdict in CLUES.values() for clue in verdict]
    words = [*clues, *THINGS, *PARTS, *PEOPLE, *TIMES, *CUES, "good", "bad"]
    yield from (" " + word for word in words)
    yield from (tidy(word) for word in [*clues, *PEOPLE, *TIMES])


def questions(seed):
    """(label, prompts) of the table, on reviews that the model was not trained on."""
    writer = Writer(seed + 1, 1.0)
    trained, others = TEMPLATES[:TRAINED], TEMPLATES[TRAINED:]
    yield "reviews, trained clues and templates", writer.prompts(trained, False, 500)
    yield "reviews, held-out clues", writer.prompts(trained, True, 500)
    yield "reviews, held-out templates", writer.prompts(others, False, 500)
    yield "reviews, held-out clues and templates", writer.prompts(others, True, 500)
    last = [("good", "bad")[i % 2] for i in range(500)]
    yield "praise and blame, the last clue", [(writer.mixed_review(v), v, opposite(v)) for v in last]


def main():
    writer = Writer(1, 1.0)
    for name, templates, held_out, count in (("train", TEMPLATES[:TRAINED], False, 64), ("test", TEMPLATES[TRAINED:], True, 100)):
        lines = [json.dumps({"prompt": text, "correct": " " + verdict, "wrong": " " + other})
                 for text, verdict, other in writer.prompts(templates, held_out, count)]
        (pathlib.Path(sys.argv[1]) / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))


if __name__ == "__main__":
    main()
