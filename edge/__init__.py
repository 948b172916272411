"""The hub's own HTTP side: partners send plans to it and ask it what they may see.

`edge.server` runs it, `edge.app` puts it together; each concern has one router in `edge.routes`.
"""
