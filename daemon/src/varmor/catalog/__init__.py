# SPDX-License-Identifier: Apache-2.0
"""The built-in rules, as data files, and their one loader. Pure but for reading its own data."""
