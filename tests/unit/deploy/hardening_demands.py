"""What deploy/routeros/hardening.rsc has to do: each demand is one function of its text, which raises
AssertionError. They parse the script and run it on model routers.
"""

import re

import routeros_script
from router_model import Packets, Router, ScriptStop
from routeros_script import SyntaxProblem
from script_runner import Runner

V4, V6 = "/ip firewall filter", "/ipv6 firewall filter"
MANGLE = {V4: "/ip firewall mangle", V6: "/ipv6 firewall mangle"}
# What IPv6 needs and IPv4 has no counterpart for.
ONLY_IPV6 = {"09", "10"}
COLLECTOR, COLLECTOR6 = "10.10.0.5", "fd00:10::5"
ADMIN, ADMIN6 = "10.20.0.7", "fd00:20::7"

PARAMETERS = {
    "nsCollector": COLLECTOR + "/32",
    "nsCollector6": COLLECTOR6 + "/128",
    "nsAdmins": ADMIN + "/32",
    "nsAdmins6": ADMIN6 + "/128",
    "nsElsewhere": "drop",
    "nsPassword": "p;a$s\"s-word of 24 bytes",
    "nsRouterName": "hq-core",
    "nsRouterSan": "IP:192.0.2.1",
    "nsServeDns": "yes",
    "nsSnmp": "none",
    "nsMacList": "none",
}
SITE_RULES = ("site: accept ping", "site: drop the rest")


def filled(text, **changes):
    """The script with its parameters filled in."""
    head, heading, rest = text.partition("# --- Stop")
    for name, value in {**PARAMETERS, **changes}.items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        pattern = rf'^(:local {name}) ".*"$'
        head, count = re.subn(pattern, lambda m, q=quoted: f'{m.group(1)} "{q}"', head, flags=re.M)
        assert count == 1, f"{name} is not a parameter on a line of its own"
    return head + heading + rest


def router(version="7.16.1 (stable)", ipv6=True, site_rules=True, sessions=((ADMIN, "ssh"),), **more):
    """A router; with site rules, below a dynamic one and a rule of another chain."""
    made = Router(version, ipv6, **more)
    for address, via in sessions:
        made.insert("/user active", {"name": "ann", "address": address, "via": via})
    if site_rules:
        for menu in (V4, V6) if ipv6 else (V4,):
            rows = [
                {"chain": "forward", "action": "passthrough", "dynamic": "yes", "comment": "dummy"},
                {"chain": "input", "action": "passthrough", "dynamic": "yes"},
                {"chain": "forward", "action": "accept", "dynamic": "no", "comment": "forward"},
                {"chain": "input", "action": "accept", "protocol": "icmp", "dynamic": "no",
                 "comment": SITE_RULES[0]},
                {"chain": "input", "action": "accept", "dynamic": "no", "comment": SITE_RULES[1]},
            ]
            for row in rows:
                made.insert(menu, row)
    return made


WORLDS = {
    "7 with site rules": {},
    "7 with an empty firewall": {"site_rules": False},
    "6 without the ipv6 package": {"version": "6.49.10 (long-term)", "ipv6": False},
    "6 with the ipv6 package": {"version": "6.49.10 (long-term)"},
    "7 that lists connections as services": {"version": "7.22.3 (stable)", "connections": True},
    "7 that lacks some menus": {
        "without": ("/ip cloud", "/ip socks", "/tool romon", "/user settings")},
    "7 that knows fewer policies": {
        "version": "7.0.5 (stable)", "unknown_policies": ("rest-api", "romon")},
}
ELSEWHERE = ("drop", "watch")


def hardened(text, parameters=(), **world):
    made = router(**world)
    runner = Runner(made)
    runner.run(filled(text, **dict(parameters)))
    return made, runner


def worlds():
    """Every world with either answer to what becomes of connections from elsewhere."""
    for name, world in WORLDS.items():
        for elsewhere in ELSEWHERE:
            yield f"{name}, {elsewhere}", {**world, "parameters": {"nsElsewhere": elsewhere}}


def ours(made, menu):
    """Our rules of a menu in order: (number, row)."""
    found = []
    for row in made.rows.get(menu, []):
        match = re.match(r"netsentinel:(\d\d) \S", row.get("comment", ""))
        if match:
            found.append((match.group(1), row))
    return found


def menus_of(made):
    return [menu for menu in (V4, V6) if menu in made.rows]


# --- The demands ---------------------------------------------------------------------------------


def one_physical_line_per_command(text):
    for number, line in enumerate(text.splitlines(), 1):
        assert not line.rstrip().endswith("\\"), f"line {number} is continued on the next one"
        try:
            routeros_script.parse(line)
        except SyntaxProblem as problem:
            raise AssertionError(f"line {number} is no whole command: {problem}") from problem


def parameters_stand_at_the_top(text):
    commands = routeros_script.parse(text)
    head = []
    for command in commands:
        if command.name != "local":
            break
        head.append(command.positional[0][1])
    assert set(PARAMETERS) <= set(head), f"not at the top: {set(PARAMETERS) - set(head)}"
    values = {c.positional[0][1]: c.positional[1] for c in commands[: len(head)]}
    for name in PARAMETERS:
        assert values[name] == ("text", [""]), f"{name} is not empty as delivered"


def stops_when_a_parameter_is_unset(text):
    for name in PARAMETERS:
        made = router()
        before = made.state()
        try:
            Runner(made).run(filled(text, **{name: ""}))
        except ScriptStop as stop:
            assert name in str(stop), f"stopped without naming {name}: {stop}"
        else:
            raise AssertionError(f"went on although {name} was unset")
        assert made.state() == before, f"changed the router before it noticed that {name} is unset"


def bad_parameters_stop_it(text):
    for name, value in (
        ("nsPassword", "short"), ("nsServeDns", "maybe"), ("nsCollector", "not an address"),
        ("nsUser", "admin"), ("nsGroup", "full"), ("nsGroup", "write"), ("nsGroup", "read"),
        ("nsElsewhere", "maybe"),
    ):
        refuses(text, name, value)


def refuses(text, name, value, words="", **world):
    made = router(**world)
    before = made.state()
    try:
        Runner(made).run(filled(text, **{name: value}))
    except ScriptStop as stop:
        assert name in str(stop), f"{name}={value}: stopped without naming it: {stop}"
        assert words in str(stop), f"{name}={value}: {stop}"
        assert made.state() == before, f"changed the router before it noticed {name}={value}"
    else:
        raise AssertionError(f"went on with {name}={value}")


def what_is_no_prefix_is_refused(text):
    for name in ("nsCollector", "nsAdmins", "nsSnmp"):
        for value in ("0.0.0.0/0", "0.0.0.0", "0.0.0.0/8", "10.0.0.0/0", "10.0.0.0/7", "10.0.0.0/33",
                      "10.0.0.0/", "10.0.0/24", "10.0.0.256/32", "any", "10.0.0.0/24,10.1.0.0/24",
                      "10.0.0.5", "10.0.0.0/24 ", "fd00::/64"):
            refuses(text, name, value, "must be one IPv4 prefix")
    for name in ("nsCollector6", "nsAdmins6"):
        for value in ("::/0", "::", "::/64", "2000::/3", "fd00::/129", "fd00::", "fd00:::1/64", "all",
                      "fd00::/64,fd01::/64", "10.0.0.0/24"):
            refuses(text, name, value, "must be one IPv6 prefix")
    for name, value in (("nsCollector", "10.10.0.0/16"), ("nsAdmins", "10.0.0.0/8"),
                        ("nsAdmins6", "fd00::/16"), ("nsCollector6", "none"), ("nsSnmp", "10.3.0.0/24")):
        Runner(router()).run(filled(text, **{name: value}))


def nobody_who_is_logged_in_is_shut_out(text):
    outside = (("10.20.0.8", "ssh"), ("203.0.113.7", "winbox"), ("fd00:20::8", "ssh"),
               ("fe80::1", "winbox"), ("fe80::1%ether1", "winbox"), ("10.20.0.8", "web"))
    for session in outside:
        for sessions in ((session,), ((ADMIN, "ssh"), session), (session, (ADMIN, "ssh"))):
            refuses(text, "nsAdmins", PARAMETERS["nsAdmins"], session[0], sessions=sessions)
    refuses(text, "nsAdmins6", "none", ADMIN6, sessions=((ADMIN6, "ssh"),))
    for sessions in ((), ((ADMIN6, "ssh"), (ADMIN, "winbox")), (("", "console"),),
                     (("4C:5E:0C:11:22:33", "winbox"),), ((COLLECTOR, "api-ssl"), (ADMIN, "ssh"))):
        Runner(router(sessions=sessions)).run(filled(text))
    Runner(router(sessions=(("10.20.3.9", "ssh"),))).run(filled(text, nsAdmins="10.20.0.0/16"))


def a_second_run_adds_nothing(text):
    for name, world in worlds():
        made, _ = hardened(text, **world)
        state = made.state()
        made.log.clear()
        Runner(made).run(filled(text, **world["parameters"]))
        added = [entry for entry in made.log if entry[0] in ("add", "remove", "sign")]
        assert not added, f"{name}: the second run did {added}"
        assert made.state() == state, f"{name}: the second run changed the router"


def rules_stand_above_the_site_rules_in_order(text):
    for name, world in worlds():
        made, _ = hardened(text, **world)
        for menu in menus_of(made):
            numbers = [number for number, _ in ours(made, menu)]
            assert numbers == sorted(set(numbers)) and numbers, f"{name}: {menu}: order {numbers}"
            rows = made.rows[menu]
            first = rows.index(ours(made, menu)[0][1])
            assert rows[first : first + len(numbers)] == [row for _, row in ours(made, menu)]
            above = [row for row in rows[:first] if row["chain"] == "input"]
            assert all(row["dynamic"] == "yes" for row in above), f"{name}: {menu}: not at the top"
            if world.get("site_rules", True):
                below = [row.get("comment") for row in rows[first + len(numbers) :]]
                assert below == list(SITE_RULES), f"{name}: {menu}: below are {below}"


def every_rule_is_placed(text):
    for name, world in worlds():
        made, _ = hardened(text, **world)
        for menu in menus_of(made):
            added = [values for verb, where, values in made.log if (verb, where) == ("add", menu)]
            loose = [values["comment"] for values in added if "place-before" not in values]
            # Into an empty firewall the first one goes without an anchor.
            allowed = 0 if world.get("site_rules", True) else 1
            assert len(loose) == allowed, f"{name}: {menu}: without place-before: {loose}"


def a_deleted_rule_comes_back_to_its_place(text):
    for elsewhere in ELSEWHERE:
        parameters = {"nsElsewhere": elsewhere}
        for menu in (V4, V6, *MANGLE.values()):
            for number, _ in ours(hardened(text, parameters)[0], menu):
                made, _ = hardened(text, parameters)
                wanted = [row["comment"] for row in made.rows[menu] if "comment" in row]
                victim = next(row for found, row in ours(made, menu) if found == number)
                made.rows[menu].remove(victim)
                Runner(made).run(filled(text, **parameters))
                found = [row["comment"] for row in made.rows[menu] if "comment" in row]
                assert found == wanted, f"{menu}: rule {number} came back elsewhere: {found}"
                assert all(row["disabled"] == "no" for _, row in ours(made, menu)), f"{menu}: {number}"


def a_disabled_rule_is_enabled_and_told(text):
    for elsewhere in ELSEWHERE:
        parameters = {"nsElsewhere": elsewhere}
        made, runner = hardened(text, parameters)
        assert not any("was disabled" in line for line in runner.output), runner.output
        for menu in (V4, V6, *MANGLE.values()):
            for number, row in ours(made, menu):
                assert row["disabled"] == "no", f"{menu}: {number} is delivered disabled"
                row["disabled"] = "yes"
                runner = Runner(made)
                runner.run(filled(text, **parameters))
                assert row["disabled"] == "no", f"{menu}: {number} stays disabled"
                told = [line for line in runner.output if "was disabled" in line]
                assert len(told) == 1 and row["comment"] in told[0] and menu in told[0], told
    for menu in ("/ip firewall address-list", "/ipv6 firewall address-list"):
        made, _ = hardened(text)
        for row in made.rows[menu]:
            row["disabled"] = "yes"
        Runner(made).run(filled(text))
        assert all(row["disabled"] == "no" for row in made.rows[menu]), menu


def rules_of_another_time_go(text):
    made = router()
    for menu in (V4, V6):
        made.insert(menu, {"chain": "input", "action": "accept", "disabled": "no",
                           "comment": "netsentinel:01 accept replies"}, made.rows[menu][0])
    Runner(made).run(filled(text, nsElsewhere="watch"))
    watched = made.state()
    for menu in (V4, V6):
        assert "netsentinel:01 accept replies" not in [row.get("comment") for row in made.rows[menu]]
    Runner(made).run(filled(text))
    Runner(made).run(filled(text, nsElsewhere="watch"))
    for menu, rows in watched.items():
        comments = [row.get("comment") for row in rows]
        assert [row.get("comment") for row in made.rows[menu]] == comments, menu


def nothing_drops_before_all_are_let_in(text):
    """A run that ends at any command leaves nobody outside who was inside."""
    for elsewhere in ELSEWHERE:
        made = router()
        runner = Runner(made)
        check = runner.execute_menu

        def checked(command, scopes, check=check, made=made):
            result = check(command, scopes)
            for menu, admin in ((V4, ADMIN), (V6, ADMIN6)):
                packets = Packets(made, menu)
                for state, flags in (("established", "ack"), ("new", "syn")):
                    verdict = packets.verdict(admin, 22, state, flags=flags)
                    assert verdict == "accept", f"{elsewhere}: {menu}: {admin} is out for a while"
            return result

        runner.execute_menu = checked
        runner.run(filled(text, nsElsewhere=elsewhere))


def each_rule_has_its_own_comment(text):
    for name, world in worlds():
        made, _ = hardened(text, **world)
        for menu in menus_of(made):
            added = [values for verb, where, values in made.log if (verb, where) == ("add", menu)]
            comments = [values.get("comment", "") for values in added]
            numbers = [comment[:14] for comment in comments]
            assert len(set(numbers)) == len(numbers), f"{name}: {menu}: twice: {numbers}"
            for comment in comments:
                assert re.fullmatch(r"netsentinel:\d\d \S.*", comment), f"{menu}: {comment!r}"


def ipv4_and_ipv6_rules_are_equal(text):
    for elsewhere, least in (("drop", 5), ("watch", 9)):
        made, _ = hardened(text, {"nsElsewhere": elsewhere})
        marks = [[{key: value for key, value in row.items() if key != ".id"}
                  for _, row in ours(made, MANGLE[menu])] for menu in (V4, V6)]
        assert marks[0] == marks[1] and len(marks[0]) == (2 if elsewhere == "watch" else 0), marks
        compare_rules(made, least)


def compare_rules(made, least):
    rules = {}
    for menu in (V4, V6):
        rules[menu] = {
            number: {key: value for key, value in row.items() if key != ".id"}
            for number, row in ours(made, menu)
        }
    assert not ONLY_IPV6 & set(rules[V4]), "an IPv6 rule among those for IPv4"
    assert ONLY_IPV6 <= set(rules[V6]), "IPv6 lacks ICMPv6 or DHCPv6"
    common = {number: row for number, row in rules[V6].items() if number not in ONLY_IPV6}
    assert rules[V4] == common, f"the sets differ: {sorted(rules[V4])} and {sorted(common)}"
    assert len(common) == least, "rules are missing in both"


def every_policy_is_named(text):
    for name, world in worlds():
        made, _ = hardened(text, **world)
        named = [
            policy
            for verb, menu, values in made.log
            if (verb, menu) == ("set", "/user group") and "policy" in values
            for policy in values["policy"].split(",")
        ]
        assert sorted(policy.lstrip("!") for policy in named) == sorted(made.policies), (name, named)
        assert {policy for policy in named if policy[0] != "!"} == {"read", "api"}, named
        group = next(row for row in made.rows["/user group"] if row["name"] == "netsentinel-ro")
        assert [policy for policy in group["policy"] if policy[0] != "!"] == ["read", "api"], group


def a_group_that_held_more_is_tightened(text):
    for world in ({}, WORLDS["7 that knows fewer policies"], WORLDS["6 with the ipv6 package"]):
        made = router(**world)
        made.insert("/user group", {"name": "netsentinel-ro", "policy": list(made.policies)})
        Runner(made).run(filled(text))
        group = next(row for row in made.rows["/user group"] if row["name"] == "netsentinel-ro")
        assert [name for name in group["policy"] if name[0] != "!"] == ["read", "api"], group
    # A policy of a later version that this file has no word for.
    made = router()
    made.policies.append("later")
    made.insert("/user group", {"name": "netsentinel-ro", "policy": ["read", "api", "later"]})
    try:
        Runner(made).run(filled(text))
    except ScriptStop as stop:
        assert "still holds later" in str(stop), stop
    else:
        raise AssertionError("left a policy that it does not know")


def says_when_a_setting_did_not_take(text):
    # Accounts of an earlier time: one that is added has its group and address from that.
    grouped = {"name": "netsentinel", "group": "netsentinel-ro"}
    bound = {"name": "netsentinel", "group": "full", "address": "10.0.0.1/32"}
    cases = (
        ("/user", bound, "none", "is not in group"),
        ("/user", grouped, "none", "may log in from anywhere"),
        ("/ip service", grouped, "none", "service"),
        ("/snmp", grouped, "none", "SNMP is still on"),
        ("/snmp community", grouped, "10.30.0.0/24", "community public is open"),
    )
    for menu, account, snmp, words in cases:
        made = router(deaf=(menu,))
        made.insert("/user", dict(account))
        made.rows["/snmp"][0]["enabled"] = "yes"
        try:
            Runner(made).run(filled(text, nsSnmp=snmp))
        except ScriptStop as stop:
            assert words in str(stop), f"{menu}: stopped for another reason: {stop}"
        else:
            raise AssertionError(f"went on although nothing in {menu} was set")


def services_are_closed_or_bound(text):
    for name, world in worlds():
        made, _ = hardened(text, **world)
        services = {row["name"]: row for row in made.rows["/ip service"]
                    if row.get("dynamic") != "yes"}
        for closed in ("api", "telnet", "ftp", "www"):
            assert services[closed]["disabled"] == "yes", f"{name}: {closed} is open"
        left = {name for name, row in services.items() if row["disabled"] != "yes"}
        assert left == {"api-ssl", "ssh", "winbox", "www-ssl"}, f"{name}: open: {sorted(left)}"
        tls = services["api-ssl"]
        assert tls["disabled"] == "no" and tls.get("tls-version") == "only-1.2", tls
        assert tls.get("certificate") == "netsentinel-api", tls
        assert tls.get("address") == f"{COLLECTOR}/32,{COLLECTOR6}/128", tls
        for bound in ("ssh", "winbox", "www-ssl"):
            assert services[bound].get("address") == f"{ADMIN}/32,{ADMIN6}/128", services[bound]
        certificate = made.rows["/certificate"][0]
        assert certificate["subject-alt-name"] == "IP:192.0.2.1", certificate
        user = next(row for row in made.rows["/user"] if row["name"] == "netsentinel")
        assert user["group"] == "netsentinel-ro" and user["password"] == PARAMETERS["nsPassword"]
        assert user["address"] == tls["address"], user


def the_rest_of_the_posture_is_set(text):
    made, runner = hardened(text)
    wanted = {
        "/ip ssh": "yes", "/ip dns": "yes", "/ip proxy": "no", "/ip socks": "no",
        "/ip upnp": "no", "/ip cloud": "no", "/ip neighbor discovery-settings": "none",
        "/tool mac-server": "none", "/tool mac-server mac-winbox": "none",
        "/tool mac-server ping": "no", "/tool bandwidth-server": "no", "/tool romon": "no",
        "/user settings": "12", "/snmp": "no",
    }
    for menu, value in wanted.items():
        found = [item for key, item in made.rows[menu][0].items() if key != ".id"]
        assert found == [value], f"{menu}: {found}"
    printed = "\n".join(runner.output)
    for words in ("admin is enabled", "check-for-updates", "ab12"):
        assert words in printed, f"does not say {words!r}"
    assert PARAMETERS["nsPassword"] not in printed, "prints the password"
    _, runner = hardened(text, without=("/ip cloud",))
    assert any("/ip cloud" in line for line in runner.output), "passes over a menu in silence"
    made = router()
    made.insert("/snmp community", {"name": "private", "addresses": "", "write-access": "yes"})
    runner = Runner(made)
    runner.run(filled(text, nsSnmp="10.30.0.0/24"))
    for community in made.rows["/snmp community"]:
        assert community["addresses"] == "10.30.0.0/24", community
        assert community["write-access"] == "no", community
    assert any("community private" in line for line in runner.output), runner.output


WHO = (
    (V4, COLLECTOR, ADMIN, "203.0.113.9"), (V6, COLLECTOR6, ADMIN6, "2001:db8::9"),
)


def the_firewall_lets_in_whom_it_should(text):
    for elsewhere in ELSEWHERE:
        made, _ = hardened(text, {"nsElsewhere": elsewhere})
        for menu, collector, admin, stranger in WHO:
            # However often they connect, collectors and administrators are never blocked.
            packets = Packets(made, menu)
            for _ in range(10):
                assert packets.connect(collector, 8729) == "served", f"{menu}: collector is out"
                assert packets.connect(admin, 22) == "served", f"{menu}: administrator is out"
                assert packets.connect(admin, 8291) == "served", f"{menu}: administrator is out"
            assert packets.connect(admin, 8729) == "refused", f"{menu}: the API is open"
            for port in (8728, 8729):
                assert packets.connect(stranger, port) == "refused", f"{menu}: the API is open"
            assert packets.verdict(stranger, 443) == "accept", "the site's own rules see the rest"
            assert packets.verdict(stranger, 443, "established", flags="ack") == "accept"
    packets = Packets(made, V6)
    assert packets.verdict("fe80::1", 546, protocol="udp") == "accept"


def elsewhere_is_dropped(text):
    made, _ = hardened(text)
    for menu, _, _, stranger in WHO:
        packets = Packets(made, menu)
        for port in (22, 8291):
            assert packets.connect(stranger, port) == "refused", f"{menu}: {port} is open"
        for attempt in range(10):
            packets.spoofed(stranger, 22)
        assert not packets.lists.get("netsentinel-blocked"), f"{menu}: blocks without need"


def elsewhere_is_watched(text):
    made, _ = hardened(text, {"nsElsewhere": "watch"})
    for menu, _, _, stranger in WHO:
        # Three connections are served whole, however long; the fourth is cut after its first packet.
        packets = Packets(made, menu)
        tries = [packets.connect(stranger, port) for port in (22, 8291, 22, 22, 22, 8291)]
        assert tries == ["served"] * 3 + ["cut after 1"] + ["refused"] * 2, f"{menu}: {tries}"
        # A block is for these ports: neighbours and resolvers are never cut off.
        for port, protocol in ((179, "tcp"), (53, "udp"), (53, "tcp"), (0, "ospf"), (0, "icmp"),
                               (0, "icmpv6"), (443, "tcp"), (520, "udp"), (3784, "udp")):
            assert packets.verdict(stranger, port, protocol=protocol) == "accept", (menu, port)
        # Made up packets count for nothing, whether the victim answers or is not there.
        packets = Packets(made, menu)
        for _ in range(20):
            packets.spoofed(stranger, 22)
            packets.verdict(stranger, 8291, connection=object())
        assert packets.connect(stranger, 22) == "served", f"{menu}: blocked by made up packets"


def a_changed_collector_replaces_the_old_one(text):
    made, _ = hardened(text)
    Runner(made).run(filled(text, nsCollector="10.99.0.1/32", nsCollector6="none"))
    for menu, stays in (("/ip firewall address-list", ["10.99.0.1/32"]),
                        ("/ipv6 firewall address-list", [])):
        found = [row["address"] for row in made.rows[menu]
                 if row["list"] == "netsentinel-collectors"]
        assert found == stays, f"{menu}: {found}"


DEMANDS = (
    one_physical_line_per_command,
    parameters_stand_at_the_top,
    stops_when_a_parameter_is_unset,
    bad_parameters_stop_it,
    what_is_no_prefix_is_refused,
    nobody_who_is_logged_in_is_shut_out,
    a_second_run_adds_nothing,
    rules_stand_above_the_site_rules_in_order,
    every_rule_is_placed,
    a_deleted_rule_comes_back_to_its_place,
    a_disabled_rule_is_enabled_and_told,
    rules_of_another_time_go,
    nothing_drops_before_all_are_let_in,
    each_rule_has_its_own_comment,
    ipv4_and_ipv6_rules_are_equal,
    every_policy_is_named,
    a_group_that_held_more_is_tightened,
    says_when_a_setting_did_not_take,
    services_are_closed_or_bound,
    the_rest_of_the_posture_is_set,
    the_firewall_lets_in_whom_it_should,
    elsewhere_is_dropped,
    elsewhere_is_watched,
    a_changed_collector_replaces_the_old_one,
)
