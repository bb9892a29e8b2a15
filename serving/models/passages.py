"""What the built-in model says by heart. All of it is our own writing."""

FERRY_NAME = "The Night Ferry"

FERRY = (
    "The night ferry leaves when the last lamp on the quay goes out. Jürgen counts the ropes, "
    "Zoë counts the stars, and nobody counts the hours. At the bow an old sign reads 渡し船, and "
    "under it someone has painted a small 🐟 and the word “später”. Fog comes over the water like "
    "a slow animal; the engine hums in ¾ time. “Where to?” asks the boy from Kraków. “Über den "
    "Fluß,” says the captain, “to the far side of this same river: 川の向こう.” Twice the bell "
    "rings 🔔🔔, and behind us the town grows small: first its windows, then its church, then the "
    "hill. At sunrise 🌅 we are where we began, yet everyone steps ashore as though onto a new "
    "continent. 終わり"
)

PASSAGES = {FERRY_NAME: FERRY}
"""By the name that a prompt asks for; a name has at most 15 bytes, all ASCII."""

HELP = (
    "End with a number, and I count on from it. End with a name, and I recite what bears it: "
    "“The Night Ferry”."
)
"""The answer to a message that asks for neither."""
