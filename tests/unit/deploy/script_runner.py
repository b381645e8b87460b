"""Carries out a parsed script on a router model."""

import ipaddress
import re

import routeros_script
from router_model import ScriptStop
from routeros_script import SyntaxProblem


class Return(Exception):
    """A :return on its way out of the code that holds it."""


class Code:
    """What :parse returns: commands that see no variable of the script around them."""

    def __init__(self, commands):
        self.commands = commands


class Runner:
    """One run of one script; what it prints is in `output`."""

    def __init__(self, router):
        self.router, self.output = router, []

    def run(self, text):
        """Raises SyntaxProblem before anything is changed, ScriptStop where the script stops."""
        commands = routeros_script.parse(text)
        self.router.check_syntax(commands)
        self.block(commands, [{}])

    def block(self, commands, scopes):
        for command in commands:
            self.execute(command, scopes)

    def execute(self, command, scopes):
        if command.menu is not None:
            return self.execute_menu(command, scopes)
        handler = getattr(self, "do_" + command.name, None)
        if handler is None:
            raise SyntaxProblem(f"line {command.line}: unknown command :{command.name}")
        return handler(command, scopes)

    def execute_menu(self, command, scopes):
        router, menu, verb = self.router, command.menu, command.verb
        values = {key: self.text(value, scopes) for key, value in command.named.items()}
        reference = self.value(command.positional[0], scopes) if command.positional else None
        if verb == "find":
            return router.find(
                menu, lambda row: command.where is None or self.truth(command.where, scopes, row))
        if verb == "add":
            return router.add(menu, values)
        if verb == "get":
            if len(command.positional) == 1:
                return router.rows[menu][0].get(command.positional[0][1], "")
            row = router.pick_rows(menu, reference)[0]
            return row.get(command.positional[1][1], "")
        if verb == "enable":
            return router.set(menu, reference, {"disabled": "no"})
        if verb == "remove":
            return router.remove(menu, reference)
        if verb == "sign":
            return router.sign(reference)
        if reference is None:
            reference = router.rows[menu][0][".id"]
        return router.set(menu, reference, values)

    # Values.
    def value(self, value, scopes, row=None):
        kind = value[0]
        if kind == "text":
            return "".join(
                part if isinstance(part, str) else self.text(part, scopes) for part in value[1])
        if kind == "variable":
            for scope in reversed(scopes):
                if value[1] in scope:
                    return scope[value[1]]
            raise ScriptStop(f"no variable ${value[1]} here")
        if kind == "command":
            return self.execute(value[1], scopes)
        if kind == "expression":
            return self.value(value[1], scopes, row)
        if kind == "not":
            return not self.truth(value[1], scopes, row)
        if kind == "binary":
            return self.binary(value, scopes, row)
        if kind == "word":
            return self.bare(value[1], row)
        raise ScriptStop(f"a {kind} is not a value")

    def bare(self, word, row):
        if word in ("true", "false"):
            return word == "true"
        if re.fullmatch(r"\d+", word):
            return int(word)
        if row is not None and word in row:
            return row[word]
        return word

    def binary(self, value, scopes, row):
        _, operator, left, right = value
        if operator in ("and", "or"):
            first = self.truth(left, scopes, row)
            if first == (operator == "or"):
                return first
            return self.truth(right, scopes, row)
        if row is not None and left[0] == "word":
            first = row.get(left[1], "")
            second = self.value(right, scopes)
        else:
            first, second = self.value(left, scopes, row), self.value(right, scopes, row)
        if operator == ".":
            return str(first) + str(second)
        if operator == "+":
            if not isinstance(first, int) or not isinstance(second, int):
                raise ScriptStop(f"cannot add {first!r} and {second!r}")
            return first + second
        if operator == "in ":
            return self.lies_in(str(first), str(second))
        if operator == "~":
            return re.search(second, first) is not None
        if operator in "<>":
            if first is None or second is None:
                raise ScriptStop(f"cannot compare {first!r} and {second!r}")
            return first > second if operator == ">" else first < second
        return (first == second) == (operator == "=")

    def truth(self, value, scopes, row=None):
        result = self.value(value, scopes, row)
        if not isinstance(result, bool):
            raise ScriptStop(f"{result!r} is neither true nor false")
        return result

    def text(self, value, scopes):
        result = self.value(value, scopes)
        return ",".join(result) if isinstance(result, list) else str(result)

    # Commands.
    def do_local(self, command, scopes):
        value = self.value(command.positional[1], scopes) if len(command.positional) > 1 else ""
        scopes[-1][command.positional[0][1]] = value

    def do_set(self, command, scopes):
        name = command.positional[0][1]
        for scope in reversed(scopes):
            if name in scope:
                scope[name] = self.value(command.positional[1], scopes)
                return
        raise ScriptStop(f"no variable {name} here")

    def do_if(self, command, scopes):
        branch = "do" if self.truth(command.positional[0], scopes) else "else"
        if branch in command.named:
            self.block(command.named[branch][1], [*scopes, {}])

    def do_do(self, command, scopes):
        try:
            self.block(command.positional[0][1], [*scopes, {}])
        except (ScriptStop, SyntaxProblem):
            if "on-error" not in command.named:
                raise
            self.block(command.named["on-error"][1], [*scopes, {}])

    def do_foreach(self, command, scopes):
        for item in self.value(command.named["in"], scopes):
            self.block(command.named["do"][1], [*scopes, {command.positional[0][1]: item}])

    def do_for(self, command, scopes):
        first, last = (self.value(command.named[key], scopes) for key in ("from", "to"))
        for number in range(first, last + 1):
            self.block(command.named["do"][1], [*scopes, {command.positional[0][1]: number}])

    def do_parse(self, command, scopes):
        commands = routeros_script.parse(self.value(command.positional[0], scopes))
        self.router.check_syntax(commands)
        return Code(commands)

    def do_run(self, command, scopes):
        code = self.value(("variable", command.code), scopes)
        if not isinstance(code, Code):
            raise ScriptStop(f"${command.code} is no code")
        try:
            return self.block(code.commands, [{}])
        except Return as returned:
            return returned.args[0]

    def do_return(self, command, scopes):
        raise Return(self.value(command.positional[0], scopes))

    def do_error(self, command, scopes):
        raise ScriptStop(self.text(command.positional[0], scopes))

    def do_put(self, command, scopes):
        self.output.append(self.text(command.positional[0], scopes))

    def do_len(self, command, scopes):
        value = self.value(command.positional[0], scopes)
        return len(value if isinstance(value, list) else str(value))

    def do_pick(self, command, scopes):
        value, first, *last = (self.value(item, scopes) for item in command.positional)
        if last:
            return value[first : last[0]]
        if first >= len(value):
            raise ScriptStop("nothing to pick")
        return value[first]

    def do_find(self, command, scopes):
        text, part = (self.text(item, scopes) for item in command.positional)
        at = text.find(part)
        return None if at < 0 else at

    def do_typeof(self, command, scopes):
        value = self.value(command.positional[0], scopes)
        names = {type(None): "nil", int: "num", str: "str", bool: "bool", list: "array"}
        names |= {ipaddress.IPv4Address: "ip", ipaddress.IPv6Address: "ip6"}
        return names[type(value)]

    def do_toip(self, command, scopes):
        return self.address(command, scopes, ipaddress.IPv4Address)

    def do_toip6(self, command, scopes):
        return self.address(command, scopes, ipaddress.IPv6Address)

    def address(self, command, scopes, kind):
        text = self.text(command.positional[0], scopes)
        try:
            return None if "%" in text else kind(text)
        except ValueError:
            return None

    def do_tonum(self, command, scopes):
        text = self.text(command.positional[0], scopes)
        return int(text) if text.isdecimal() else None

    def lies_in(self, address, prefix):
        try:
            return ipaddress.ip_address(address) in ipaddress.ip_network(prefix, strict=False)
        except ValueError as problem:
            raise ScriptStop(f"{address} in {prefix}: {problem}") from problem

    def do_tostr(self, command, scopes):
        return self.text(command.positional[0], scopes)

    def do_delay(self, command, scopes):
        """Time is not modelled."""
