# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets this device its certificate after the first sign-in and renews it while it is in use."""

import logging
from typing import Final

from client.core.clock import Clock
from client.core.credentials import Credentials
from client.core.errands import Errands
from client.core.session import Session
from protocol.keys import IdentityError
from protocol.messages.session import EnrollDevice

LOG = logging.getLogger("lanyard.core")

LOOK_AGAIN_S: Final = 6 * 3600.0
"""Certificates live for days; looking a few times a day is enough."""
SETTLE_S: Final = 2.0
"""After a sign-in people wait for their messages first."""


class Enrolment:
    """The device's certificate on its way."""

    def __init__(
        self, session: Session, credentials: Credentials, clock: Clock, errands: Errands
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._clock = clock
        self._errand = errands.new("certificate", self._renew)
        session.on_open(lambda: self._errand.wake(SETTLE_S))

    async def _renew(self) -> None:
        if self._session.is_open and self._credentials.is_renewal_due(self._clock.server_now_ms()):
            csr = self._credentials.certificate_request()
            reply = await self._session.request(EnrollDevice(csr))
            try:
                self._credentials.keep_certificate(reply.certificate)
            except (IdentityError, OSError) as error:
                LOG.warning("the device's certificate can't be kept: %s", error)
        self._errand.wake(LOOK_AGAIN_S)
