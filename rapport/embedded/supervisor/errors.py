"""Errors that keep the local stack from running. Every message is written for the person who typed the command."""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot start or cannot go on."""


class PortInUseError(StackError):
    """A port that a child process needs cannot be opened."""


class DataDirInUseError(StackError):
    """Another stack runs on the same data directory."""


class ChildFailedError(StackError):
    """A child process did not become ready, or died for good."""


class BrokerNotInstalledError(StackError):
    """The broker binary is not installed: the extra `rapport[embedded]` is missing."""
