# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands, one module for each subject: ``declare_NAME`` takes the command's parser, and names the function that runs."""
