"""What a model may say to a page, and a run that says it everywhere."""

from coherence.vocabulary import Abscissa, Arrows, Curve, ProbeNote, Series, Table, Zone

NASTY = (
    "\x00\x1b[31m]]> --> </script></style><script>window.pwned = 1</script>"
    "<img src=x onerror='window.pwned = 2'> \" ' &amp; {{ 7 * 7 }} \ud800 \u202e \u200f \uffff ☠ "
)


def saying(results, text):
    """The same run, which holds `text` wherever somebody may have written one."""
    probe = ProbeNote(probe=text, note=text, replies={text: text, "prompt": text})
    drawn = Curve(
        over=Abscissa(title=text, diagonal=text),
        at=(text, text),
        series={text: Series(values=(0.1, 0.2)), "raw": Series(values=(0.3, None))},
        zone=Zone(name=text, low=(0.1, 0.2), high=(0.3, 0.4)),
    )
    ways = {text: (0.1, 0.2)}
    arrows = Arrows(x=text, y=text, begins=text, ends=f"{text} ", start=ways, end=ways)
    table = Table(name=text, rows=(text,), columns=(text,), cells=((0.5,),))

    def change(result):
        evidence = result.evidence and result.evidence.model_copy(
            update={
                "probes": (probe,),
                "notes": (text,),
                "curve": drawn,
                "arrows": arrows,
                "tables": (table,),
                "criteria": tuple(named(one) for one in result.evidence.criteria),
            }
        )
        said = dict.fromkeys(
            ("id", "persona", "property", "slug", "family", "suite", "replay", "sentence"), text
        )
        return result.model_copy(update=said | {"evidence": evidence, "release": {text: text}})

    def named(criterion):
        estimate = criterion.estimate.model_copy(update={"name": text})
        return criterion.model_copy(update={"estimate": estimate, "unreliable": text})

    assertions = tuple(map(change, results.assertions))
    said = {"assertions": assertions, "versions": {text: text}, "started": text, "remarks": (text,)}
    return results.model_copy(update=said)
