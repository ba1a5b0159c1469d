# SPDX-License-Identifier: GPL-2.0-or-later
"""Message format (RFC 7011 section 3, RFC 3954 section 5): octets and values, no state.

A message is framed into Sets, a Set of templates is parsed into Template objects, and a
Template's codec decodes the Data Records of a Set; lists (RFC 6313) and checks build on these.
The resolver derives values such as the sampling rate from a record and facts of options data.
The package imports ``model`` and ``text``, and neither keeps state nor knows Scapy.

Modules, each importing only from those before it: ``catalogue``, ``diagnostics``, ``framing``,
``otherprotocols``, ``stream``, ``field``, ``layout``, ``codec``, ``structured``, ``v9scopes``,
``template``, ``rows``, ``validation``, ``display``, ``facts``, ``contextfields``, ``resolver``,
``flowtimes``, ``alternatives``, ``recordcontext``, ``resolvedvalues``.
"""
