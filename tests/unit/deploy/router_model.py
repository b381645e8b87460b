"""A small RouterOS: menus with rows, the commands of a script carried out on them, and packets."""

import ipaddress
import re

import routeros_script
from routeros_script import SyntaxProblem


class ScriptStop(Exception):
    """An error that stops the script unless on-error catches it."""


POLICIES_7 = (
    "local telnet ssh ftp reboot read write policy test winbox password web sniff sensitive api "
    "rest-api romon"
).split()
POLICIES = {
    "7": POLICIES_7,
    "6": [name for name in POLICIES_7 if name != "rest-api"] + ["dude", "tikapp"],
}
_FILTER = (
    "chain action comment protocol dst-port src-address connection-state connection-mark "
    "src-address-list address-list address-list-timeout place-before disabled dynamic"
).split()
_MANGLE = (
    "chain action comment protocol dst-port connection-state connection-mark new-connection-mark "
    "passthrough tcp-flags place-before disabled dynamic"
).split()
_LIST = "list address comment disabled dynamic timeout".split()
# Menu, then its properties; a menu of one item instead of rows is marked with a star.
_SCHEMA = {
    "/ip firewall filter": _FILTER,
    "/ip firewall mangle": _MANGLE,
    "/ip firewall address-list": _LIST,
    "/user active": "name address via".split(),
    "/user": "name group address password comment disabled".split(),
    "/user group": "name policy comment".split(),
    "/ip service": (
        "name port disabled certificate tls-version address dynamic connection remote".split()),
    "/certificate": (
        "name common-name subject-alt-name key-size days-valid key-usage fingerprint".split()),
    "/snmp community": "name addresses read-access write-access".split(),
    "*/snmp": ["enabled"],
    "*/system resource": ["version"],
    "*/ip ssh": ["strong-crypto"],
    "*/ip dns": ["allow-remote-requests"],
    "*/ip proxy": ["enabled"],
    "*/ip socks": ["enabled"],
    "*/ip upnp": ["enabled"],
    "*/ip cloud": ["ddns-enabled"],
    "*/ip neighbor discovery-settings": ["discover-interface-list"],
    "*/tool mac-server": ["allowed-interface-list"],
    "*/tool mac-server mac-winbox": ["allowed-interface-list"],
    "*/tool mac-server ping": ["enabled"],
    "*/tool bandwidth-server": ["enabled"],
    "*/tool romon": ["enabled"],
    "*/user settings": ["minimum-password-length"],
}
# Lists of commands that passed on a router with the same menus and policies.
_checked = {}
_UNIQUE = {"/user": "name", "/user group": "name", "/certificate": "name"}
_PREFIX = re.compile(r"[0-9a-f:.]+(/\d{1,3})?", re.I)


class Router:
    """State of one router. `without` names menus that this one lacks, `deaf` those whose `set` does
    nothing and says nothing, `unknown_policies` policies that this version has no name for. With
    `connections`, services in use also stand as dynamic rows."""

    def __init__(self, version, ipv6, without=(), deaf=(), connections=False, unknown_policies=()):
        self.major, self.deaf = version[0], deaf
        self.policies = [name for name in POLICIES[self.major] if name not in unknown_policies]
        self.rows, self.properties, self.log = {}, {}, []
        self.next_id = 1
        schema = dict(_SCHEMA)
        if ipv6:
            schema["/ipv6 firewall filter"] = _FILTER
            schema["/ipv6 firewall mangle"] = _MANGLE
            schema["/ipv6 firewall address-list"] = _LIST
        for menu, properties in schema.items():
            name = menu.lstrip("*")
            if name not in without:
                self.properties[name] = set(properties)
                self.rows[name] = []
                if menu.startswith("*"):
                    self.insert(name, {})
        self.rows["/system resource"][0]["version"] = version
        known = "telnet ftp www ssh www-ssl api api-ssl winbox".split()
        for name in known + (["reverse-proxy"] if version.startswith("7.2") else []):
            self.insert("/ip service", {"name": name, "disabled": "no"})
            if connections:
                self.insert("/ip service", {
                    "name": name, "disabled": "no", "dynamic": "yes", "connection": "yes",
                    "remote": "10.20.0.7:50412"})
        self.insert("/user", {"name": "admin", "group": "full", "disabled": "no"})
        self.insert("/user group", {"name": "full", "policy": list(self.policies)})
        self.insert("/snmp community", {"name": "public"})

    def insert(self, menu, row, before=None):
        row[".id"] = f"*{self.next_id:X}"
        self.next_id += 1
        rows = self.rows[menu]
        rows.insert(len(rows) if before is None else rows.index(before), row)
        return row

    def state(self):
        return {menu: [dict(row) for row in rows] for menu, rows in self.rows.items()}

    # What the console refuses before it runs anything.
    def check_syntax(self, commands):
        # The parser gives the same list for the same text, and keeps it.
        key = (id(commands), frozenset(self.properties), tuple(self.policies))
        if key in _checked and _checked[key] is commands:
            return
        self.check_each(commands)
        _checked[key] = commands

    def check_each(self, commands):
        for command in routeros_script.walk(commands):
            if command.menu is None:
                continue
            if command.menu not in self.properties:
                raise SyntaxProblem(f"line {command.line}: bad command name {command.menu}")
            for key, value in command.named.items():
                if key not in self.properties[command.menu]:
                    raise SyntaxProblem(f"line {command.line}: {command.menu}: unknown {key}")
                if key == "policy" and value[0] == "word":
                    for name in value[1].split(","):
                        if name.lstrip("!") not in self.policies:
                            raise SyntaxProblem(f"line {command.line}: unknown policy {name}")

    def find(self, menu, test):
        return [row[".id"] for row in self.rows[menu] if test(row)]

    def pick_rows(self, menu, reference):
        """Rows for a list of ids, one id, or a name."""
        wanted = reference if isinstance(reference, list) else [reference]
        rows = [row for row in self.rows[menu] if row[".id"] in wanted or row.get("name") in wanted]
        if len(rows) != len(wanted):
            raise ScriptStop(f"{menu}: no such item")
        return rows

    def checked(self, menu, values):
        for key in ("address", "addresses", "src-address"):
            for part in values.get(key, "").split(",") if values.get(key) else []:
                if not _PREFIX.fullmatch(part):
                    raise ScriptStop(f"{menu}: invalid {key} {part}")
        if "group" in values and not self.find("/user group", lambda r: r["name"] == values["group"]):
            raise ScriptStop("input does not match any value of group")
        if "certificate" in values:
            certificate = self.pick_rows("/certificate", values["certificate"])[0]
            if not certificate.get("fingerprint"):
                raise ScriptStop("certificate is not signed")
        return values

    def add(self, menu, values):
        values = self.checked(menu, dict(values))
        self.log.append(("add", menu, dict(values)))
        unique = _UNIQUE.get(menu)
        if unique and any(row.get(unique) == values[unique] for row in self.rows[menu]):
            raise ScriptStop("failure: already have such entry")
        if menu == "/user" and not values.get("password"):
            raise ScriptStop("missing value(s) of argument(s) password")
        if menu.endswith("address-list"):
            same = [(row["list"], row["address"]) for row in self.rows[menu]]
            if (values["list"], values["address"]) in same:
                raise ScriptStop("failure: already have such entry")
        before = None
        if "place-before" in values:
            before = self.pick_rows(menu, values.pop("place-before"))[0]
            if before.get("dynamic") == "yes":
                raise ScriptStop("cannot place before a dynamic rule")
        if menu == "/user group":
            values["policy"] = values["policy"].split(",")
        values.setdefault("disabled", "no")
        values.setdefault("dynamic", "no")
        return self.insert(menu, values, before)[".id"]

    def set(self, menu, reference, values):
        values = self.checked(menu, dict(values))
        self.log.append(("set", menu, dict(values)))
        rows = self.pick_rows(menu, reference)
        if any(row.get("dynamic") == "yes" for row in rows):
            raise ScriptStop(f"{menu}: cannot change a dynamic row")
        for row in rows if menu not in self.deaf else []:
            if menu == "/user group" and "policy" in values:
                # Only the named policies change.
                held = set(row["policy"])
                for name in values["policy"].split(","):
                    (held.discard if name[0] == "!" else held.add)(name.lstrip("!"))
                row["policy"] = [name if name in held else "!" + name for name in self.policies]
            else:
                row.update(values)

    def remove(self, menu, reference):
        doomed = self.pick_rows(menu, reference)
        self.log += [("remove", menu, dict(row)) for row in doomed]
        self.rows[menu] = [row for row in self.rows[menu] if row not in doomed]

    def sign(self, reference):
        self.log.append(("sign", "/certificate", {}))
        for row in self.pick_rows("/certificate", reference):
            row["fingerprint"] = "ab12" * 16


class Packets:
    """Packets to the router itself, judged by chain input of mangle and filter."""

    def __init__(self, router, menu):
        self.router, self.menu, self.lists = router, menu, {}
        self.marks = {}
        for row in router.rows[menu.replace("filter", "address-list")]:
            networks = self.lists.setdefault(row["list"], [])
            if row.get("disabled") != "yes":
                networks.append(ipaddress.ip_network(row["address"], strict=False))

    def verdict(self, source, port, state="new", protocol="tcp", flags="syn", connection=None):
        """What becomes of one packet. `connection` names the one that it belongs to."""
        packet = {"source": source, "port": port, "state": state, "protocol": protocol,
                  "flags": set(flags.split(",")), "connection": connection}
        for rule in self.router.rows[self.menu.replace("filter", "mangle")]:
            if self.matches(rule, packet):
                self.marks[connection] = rule["new-connection-mark"]
        for rule in self.router.rows[self.menu]:
            if not self.matches(rule, packet):
                continue
            if rule["action"] == "add-src-to-address-list":
                networks = self.lists.setdefault(rule["address-list"], [])
                networks.append(ipaddress.ip_network(source))
            elif rule["action"] != "passthrough":
                return rule["action"]
        return "accept"

    def connect(self, source, port):
        """A whole connection: how far it came, "refused", or "cut" after that many packets."""
        connection = (source, port, object())
        if self.verdict(source, port, connection=connection) != "accept":
            return "refused"
        for packet in range(20):
            if self.verdict(source, port, "established", flags="ack", connection=connection) != "accept":
                return f"cut after {packet}"
        return "served"

    def spoofed(self, victim, port):
        """Somebody else's SYN in the victim's name; the victim answers the router's SYN, ACK."""
        connection = (victim, port, object())
        if self.verdict(victim, port, connection=connection) == "accept":
            self.verdict(victim, port, "established", flags="rst", connection=connection)

    def matches(self, rule, packet):
        if rule.get("chain") != "input" or rule.get("disabled") == "yes":
            return False
        if rule.get("protocol", packet["protocol"]) != packet["protocol"]:
            return False
        if "dst-port" in rule and str(packet["port"]) not in rule["dst-port"].split(","):
            return False
        if "connection-state" in rule and packet["state"] not in rule["connection-state"].split(","):
            return False
        if "connection-mark" in rule:
            if rule["connection-mark"] != self.marks.get(packet["connection"], "no-mark"):
                return False
        for flag in rule.get("tcp-flags", "").split(",") if rule.get("tcp-flags") else []:
            if (flag.lstrip("!") in packet["flags"]) == flag.startswith("!"):
                return False
        address = ipaddress.ip_address(packet["source"])
        if "src-address" in rule and address not in ipaddress.ip_network(rule["src-address"]):
            return False
        wanted = rule.get("src-address-list")
        return wanted is None or any(address in network for network in self.lists.get(wanted, []))
