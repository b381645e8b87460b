#!/usr/bin/env python3
"""deploy/routeros/hardening.rsc: parsed, run twice on model routers, and broken on purpose: the last
test breaks the script in one way after the other and expects one of the demands to notice.
"""

import os
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from hardening_demands import DEMANDS
from router_model import ScriptStop
from routeros_script import SyntaxProblem

SCRIPT = os.path.join(HERE, "../../../deploy/routeros/hardening.rsc")


# --- Ways to break it ----------------------------------------------------------------------------


def replaced(old, new, count=1):
    def change(text):
        assert old in text, f"the script does not hold {old!r}"
        return text.replace(old, new, count)

    return change


def without_line(*words):
    """Takes out the one line that holds all the words."""

    def change(text):
        lines = text.splitlines(keepends=True)
        doomed = [line for line in lines if all(word in line for word in words)]
        assert len(doomed) == 1, f"{len(doomed)} lines hold {words}"
        return "".join(line for line in lines if line not in doomed)

    return change


MUTATIONS = {
    "a policy left unnamed": replaced("!sensitive,", ""),
    "a policy left unnamed for version 6 only": without_line("policy=!tikapp"),
    "a policy granted": replaced("!write", "write"),
    "a policy that every version must know": replaced("!sensitive,", "!sensitive,!rest-api,"),
    "a policy name that stops the script": replaced(
        "policy=!rest-api\"]; $run } on-error={}", "policy=!rest-api\"]; $run }"),
    "an IPv6 rule missing": without_line(
        "/ipv6 firewall filter add", 'comment=\\"netsentinel:02 accept SSH and WinBox from administrators\\" place'),
    "the first IPv6 rule missing": without_line(
        "/ipv6 firewall filter add", "netsentinel:01 accept"),
    "a rule for IPv4 only": lambda text: text.replace(
        "# --- Firewall, IPv6", '/ip firewall filter add chain=input action=accept comment='
        '"netsentinel:13 more"\n# --- Firewall, IPv6'),
    "an IPv4 rule missing": without_line(
        "{ /ip firewall filter add", 'comment="netsentinel:05 third connection" place'),
    "an IPv6 rule that differs": replaced(
        "timeout=1h comment=\\\"netsentinel:05", "timeout=2h comment=\\\"netsentinel:05"),
    "a mark that IPv6 lacks": without_line("/ipv6 firewall mangle add", "netsentinel:30"),
    "a continued line": replaced("{ /ip firewall filter add", "{ \\\n  /ip firewall filter add"),
    "a rule without place-before": replaced(
        ' place-before=[:pick [/ip firewall filter find where comment=$nsAfterAdmins] 0]', ""),
    "the last rule without place-before": replaced(" place-before=$nsAnchor", ""),
    "the IPv6 anchor missing": replaced(" place-before=\\$nsAnchor", ""),
    "an anchor that may be dynamic": replaced(" and dynamic=no]", "]"),
    "an anchor that may be our own": replaced('!= "netsentinel:"', '!= "x"'),
    "a comment given twice": replaced(
        '1h comment="netsentinel:05 third connection"', '1h comment="netsentinel:06 second connection"'),
    "a comment that is not found again": replaced(
        'comment="netsentinel:12 drop the API from everyone else" place',
        'comment="netsentinal:12 drop the API from everyone else" place'),
    "a parameter that is not checked": without_line(":error", "nsRouterName is unset"),
    "a prefix for everyone": lambda text: text.replace('[:pick $nsHost 0 2] = "0."', "false").replace(
        "$nsBits < 8", "$nsBits < 0"),
    "an IPv6 prefix for everyone": lambda text: text.replace(
        '[:pick $nsHost 0 2] = "::"', "false").replace("$nsBits < 16", "$nsBits < 0"),
    "a prefix that is too wide": replaced("$nsBits < 8", "$nsBits < 1", 3),
    "a prefix that is too long": replaced("$nsBits > 32", "$nsBits > 64", 3),
    "a prefix of another form": lambda text: "".join(
        line for line in text.splitlines(keepends=True) if "no other form" not in line),
    "an address that is none": replaced('[:typeof [:toip $nsHost]] != "ip"', "false", 3),
    "an administrator who is not looked at": without_line("somebody is logged in from"),
    "an IPv6 administrator who is not looked at": without_line("[:toip6 $nsPeer]"),
    "a link-local administrator who is not looked at": replaced(
        ' or [:pick $nsPeer 0 5] = "fe80:"', ""),
    "the last session alone looked at": replaced(
        ":set nsOutside $nsPeer } } }", ":set nsOutside $nsPeer } else={ :set nsOutside \"\" } } }"),
    "programs taken for administrators": replaced(' and via!="api-ssl"', "", 2),
    "a check after the first change": lambda text: text.replace(
        "# --- Stop when", '/ip service set telnet disabled=yes\n# --- Stop when'),
    "a parameter with a value as delivered": replaced(
        ':local nsCollector ""', ':local nsCollector "10.0.0.1/32"'),
    "IPv6 commands that are not guarded": lambda text: text
        + "/ipv6 firewall filter set [/ipv6 firewall filter find] disabled=no\n",
    "a rule added each time": lambda text: text
        + '/ip firewall filter add chain=input action=accept comment="netsentinel:40 more"\n',
    "a rule of ours for another chain": replaced(
        'add chain=input action=drop protocol', 'add chain=forward action=drop protocol'),
    "drops that bite before all are let in": replaced(" disabled=yes comment", " comment", 9),
    "disabled rules that stay so": without_line("/ip firewall filter enable"),
    "disabled rules enabled in silence": lambda text: text.replace(
        ":put (\"netsentinel: /ip firewall filter: a rule was disabled", ":local no (\"x"),
    "old rules that stay": without_line("/ip firewall filter remove $nsRule"),
    "SSH open elsewhere": without_line("{ /ip firewall filter add", "netsentinel:11 drop"),
    "SSH open elsewhere over IPv6": without_line("/ipv6 firewall filter add", "netsentinel:11 drop"),
    "WinBox open elsewhere": replaced("action=drop protocol=tcp dst-port=22,8291 ",
                                      "action=drop protocol=tcp dst-port=22 "),
    "SYNs counted": replaced("connection-state=established connection-mark=netsentinel-new",
                             "connection-state=new", 4),
    "every packet counted": replaced(" connection-mark=netsentinel-new address-list=",
                                     " address-list="),
    "connections counted again and again": without_line(
        "{ /ip firewall mangle add", "netsentinel:30"),
    "refusals of a victim counted": replaced("tcp-flags=ack,!syn,!rst,!fin ", ""),
    "a block for everything": replaced(
        "action=drop protocol=tcp dst-port=22,8291,8728,8729 src-address-list=netsentinel-blocked",
        "action=drop src-address-list=netsentinel-blocked"),
    "the API left in the clear": replaced(
        'name="api" and dynamic!=yes] do={ /ip service set $nsService disabled=yes',
        'name="api" and dynamic!=yes] do={ /ip service set $nsService disabled=no'),
    "a service of a later version left open": lambda text: "".join(
        line for line in text.splitlines(keepends=True) if 'find where name!="api-ssl"' not in line),
    "a service set by its name": replaced(
        ':foreach nsService in=[/ip service find where name="ftp" and dynamic!=yes] do={ '
        "/ip service set $nsService disabled=yes }", "/ip service set ftp disabled=yes"),
    "connections taken for a service": replaced(
        'in=[/ip service find where name="ssh" and dynamic!=yes]',
        'in=[/ip service find where name="ssh"]'),
    "an account that is not read back": without_line("is not in group"),
    "an address that is not read back": without_line("may log in from anywhere"),
    "a service that is not read back": lambda text: "".join(
        line for line in text.splitlines(keepends=True)
        if "look at /ip service print" not in line).replace(
            ':if ([:len [:tostr [/ip service get $nsService address]]] = 0)', ":if (false)"),
    "SNMP that is not read back": without_line("SNMP is still on"),
    "an SNMP community that is not read back": without_line("is open to everyone", "/snmp community get"),
    "an SNMP community of another name": replaced(
        "in=[/snmp community find] do={ /snmp community set",
        'in=[/snmp community find where name="public"] do={ /snmp community set'),
    "an SNMP community that may write": replaced(" write-access=no }", " }"),
    "the account of people": without_line("nsUser must not be admin"),
    "a group of the router's own": without_line("nsGroup must not be"),
    "TLS of any version": replaced("tls-version=only-1.2", "tls-version=any"),
    "the API for everyone": replaced(" tls-version=only-1.2 address=$nsFrom", " tls-version=only-1.2"),
    "a certificate that is never signed": without_line("do={ /certificate sign "),
    "a posture item missing": without_line("/tool romon set"),
    "staging above the collectors": lambda text: text.replace(
        "src-address-list=netsentinel-collectors", "src-address-list=netsentinel-try9"),
    "an unclosed quote": replaced('disabled=no port=8729', 'disabled=no" port=8729'),
    "a menu that does not exist": replaced("/ip service set $nsService", "/ip services set $nsService"),
}


def problem_with(text):
    """The first demand that the script does not meet, in words; None when it meets all."""
    for demand in DEMANDS:
        try:
            demand(text)
        except (AssertionError, SyntaxProblem, ScriptStop) as problem:
            return f"{demand.__name__}: {problem}"
    return None


class HardeningTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(SCRIPT, encoding="utf-8") as file:
            cls.text = file.read()

    def test_the_script_meets_every_demand(self):
        for demand in DEMANDS:
            with self.subTest(demand.__name__):
                demand(self.text)

    def test_every_planted_mistake_is_noticed(self):
        for name, change in MUTATIONS.items():
            with self.subTest(name):
                broken = change(self.text)
                self.assertNotEqual(self.text, broken)
                self.assertIsNotNone(problem_with(broken), "nothing noticed it")


if __name__ == "__main__":
    unittest.main()
