"""The project's tests.

A package with this file, since a dependency installs a package of the same name, which would be found instead in the
processes that the tests start.
"""
