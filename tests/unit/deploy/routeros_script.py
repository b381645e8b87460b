"""A parser for the part of the RouterOS script language that deploy/routeros uses.

A script is a list of commands; a command is (name, menu, verb, positional, named, where). Values are
tuples whose first item says what they are: text (with variables inside), variable, command, expression,
word or block.
"""

import functools
import re

VERBS = {"add", "set", "get", "find", "remove", "sign", "enable", "disable"}


class SyntaxProblem(Exception):
    """What the router's own parser would refuse."""


class Command:
    """One command. `name` is "if" for :if, "run" for $code, None for a menu command."""

    def __init__(self, line):
        self.line = line
        self.name = self.menu = self.verb = self.where = self.code = None
        self.positional = []
        self.named = {}


class Parser:
    """Recursive descent over the characters of a script."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def fail(self, message):
        raise SyntaxProblem(f"line {self.line()}: {message}")

    def line(self):
        return self.text.count("\n", 0, self.at) + 1

    def peek(self):
        return self.text[self.at] if self.at < len(self.text) else ""

    def spaces(self):
        while self.peek() and self.peek() in " \t":
            self.at += 1

    def expect(self, character):
        if self.peek() != character:
            self.fail(f"expected {character!r}, found {self.peek()!r}")
        self.at += 1

    def word(self, stops):
        start = self.at
        while self.peek() and self.peek() not in stops:
            self.at += 1
        return self.text[start : self.at]

    def identifier(self):
        match = re.compile(r"[A-Za-z][A-Za-z0-9]*").match(self.text, self.at)
        if not match:
            self.fail("expected a name")
        self.at = match.end()
        return match.group(0)

    def script(self, end=""):
        """Commands up to `end` ("" is the end of the text, "}" of a block)."""
        commands = []
        while True:
            while self.peek() and self.peek() in " \t\n;":
                self.at += 1
            if self.peek() == end:
                return commands
            if not self.peek():
                self.fail(f"missing {end!r}")
            if self.peek() == "#":
                self.word("\n")
                continue
            commands.append(self.command())

    def command(self):
        command = Command(self.line())
        if self.peek() == ":":
            self.at += 1
            command.name = self.identifier()
        elif self.peek() == "$":
            self.at += 1
            command.name, command.code = "run", self.identifier()
        elif self.peek() == "/":
            self.menu_and_verb(command)
        else:
            self.fail(f"a command starts with : or / or $, not {self.peek()!r}")
        self.arguments(command)
        return command

    def menu_and_verb(self, command):
        self.at += 1
        words = []
        while True:
            self.spaces()
            word = self.word(" \t\n;[](){}=\"$")
            if not word:
                self.fail("a menu without a command: /" + " ".join(words))
            if word in VERBS:
                command.menu, command.verb = "/" + " ".join(words), word
                return
            words.append(word)

    def arguments(self, command):
        while True:
            self.spaces()
            if not self.peek() or self.peek() in "\n;]}":
                return
            match = re.compile(r"([a-z][a-z0-9-]*)=").match(self.text, self.at)
            if match:
                self.at = match.end()
                if match.group(1) in command.named:
                    self.fail(f"{match.group(1)} is given twice")
                command.named[match.group(1)] = self.value()
            elif command.verb == "find" and re.compile(r"where\b").match(self.text, self.at):
                self.at += len("where")
                command.where = self.either()
            else:
                command.positional.append(self.value())

    def value(self):
        character = self.peek()
        if character == '"':
            return self.quoted()
        if character == "$":
            self.at += 1
            return ("variable", self.identifier())
        if character == "[":
            self.at += 1
            self.spaces()
            command = self.command()
            self.spaces()
            self.expect("]")
            return ("command", command)
        if character == "(":
            self.at += 1
            node = self.either()
            self.spaces()
            self.expect(")")
            return ("expression", node)
        if character == "{":
            self.at += 1
            commands = self.script("}")
            self.expect("}")
            return ("block", commands)
        word = self.word(" \t\n;[](){}\"$")
        if not word:
            self.fail(f"expected a value, found {character!r}")
        return ("word", word)

    def quoted(self):
        """Text in quotes as ("text", [literal or ("variable", name)])."""
        self.expect('"')
        parts, literal = [], ""
        while self.peek() != '"':
            character = self.peek()
            if not character or character == "\n":
                self.fail("text without its closing quote")
            self.at += 1
            if character == "\\":
                if not self.peek() or self.peek() not in '"\\$nrt':
                    self.fail(f"unknown escape {self.peek()!r}")
                literal += {"n": "\n", "r": "\r", "t": "\t"}.get(self.peek(), self.peek())
                self.at += 1
            elif character == "$":
                parts += [literal, ("variable", self.identifier())]
                literal = ""
            else:
                literal += character
        self.expect('"')
        return ("text", [*parts, literal])

    # Expressions, loosest first.
    def either(self):
        return self.chain(self.both, ("or",))

    def both(self):
        return self.chain(self.comparison, ("and",))

    def comparison(self):
        return self.chain(self.joined, ("!=", "=", "~", ">", "<", "in "))

    def joined(self):
        return self.chain(self.unary, (".", "+"))

    def chain(self, operand, operators):
        left = operand()
        while True:
            self.spaces()
            for operator in operators:
                if self.text.startswith(operator, self.at):
                    self.at += len(operator)
                    left = ("binary", operator, left, operand())
                    break
            else:
                return left

    def unary(self):
        self.spaces()
        if self.peek() == "!":
            self.at += 1
            return ("not", self.unary())
        if self.peek() and self.peek() in '"$[(':
            return self.value()
        word = self.word(" \t\n;[](){}\"$=!~<>")
        if not word:
            self.fail(f"expected a value, found {self.peek()!r}")
        return ("word", word)


@functools.lru_cache(maxsize=65536)
def _parse_line(line):
    return Parser(line).script()


@functools.lru_cache(maxsize=4096)
def parse(text):
    """The commands of a script. The result is shared: nobody changes it."""
    # Versions of a script differ in few lines, each of which is whole commands.
    try:
        return [command for line in text.split("\n") for command in _parse_line(line)]
    except SyntaxProblem:
        return Parser(text).script()


def nested(value):
    """The commands inside a value, at any depth."""
    kind = value[0]
    if kind == "command":
        yield from walk([value[1]])
    elif kind == "block":
        yield from walk(value[1])
    elif kind in ("expression", "not"):
        yield from nested(value[1])
    elif kind == "binary":
        yield from nested(value[2])
        yield from nested(value[3])


def walk(commands):
    """Every command of a script, also those in blocks and in square brackets."""
    for command in commands:
        yield command
        for value in [*command.positional, *command.named.values()]:
            yield from nested(value)
        if command.where:
            yield from nested(command.where)
