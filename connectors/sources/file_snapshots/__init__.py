"""File snapshots: a folder or web address of full exports, GeoJSON or CSV, mapped by a YAML profile.

Protocol  whole files, gzip or not; http(s) with ETag
Cursor    snapshot time, name and hash of the last file taken; ETag and hash of the last answer
Identity  the profile's `id`; rows of one id are one work
Deletes   by absence in complete exports, after a grace; absence after the last known end is the normal close
"""
