"""How a hub is doing, read from Kafka itself: what `samenloop status` shows.

`watch` follows the topics and asks for positions, `lookout` asks Kafka about groups; `picture` are the values they add
up to and what is wrong in them, pure; `screen` and `form` show a picture to people and to machines. Nothing is scraped
and no process of the hub is asked, so it works from any machine with the settings, and when the hub is down.
"""
