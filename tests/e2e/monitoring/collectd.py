"""Stands in for collectd: has its plugin for HAProxy read a socket once, and prints what that gives, as JSON.

    PYTHONPATH=where/the/plugin/is python3 collectd.py SOCKET
"""

import json
import sys
import types

given = []
complaints = []
callbacks = {}


class Values:
    """One metric; each dispatch of it is a value that collectd would store."""

    def __init__(self, plugin, type, type_instance):
        self.name, self.kind = type_instance, type

    def dispatch(self, plugin_instance, values):
        given.append({"of": plugin_instance, "name": self.name, "kind": self.kind, "value": values[0]})


def register(what):
    return lambda callback, name: callbacks.__setitem__(what, callback)


collectd = types.ModuleType("collectd")
collectd.Values = Values
collectd.debug = collectd.info = lambda text: None
collectd.warn = collectd.warning = collectd.error = complaints.append
for what in ("config", "init", "read"):
    setattr(collectd, f"register_{what}", register(what))
sys.modules["collectd"] = collectd

import collectd_haproxy  # noqa: E402, F401 - it registers itself with the module above.

socket = types.SimpleNamespace(key="Socket", values=[sys.argv[1]])
callbacks["config"](types.SimpleNamespace(children=[socket]))
callbacks["init"]()
callbacks["read"]()
json.dump({"given": given, "complaints": complaints}, sys.stdout)
