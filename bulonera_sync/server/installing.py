"""The plain-HTTP page from which a tablet installs the authority. It serves that alone."""

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from string import Template

from aiohttp import web

from bulonera_sync.config import ServerSettings
from bulonera_sync.errors import BuloneraError
from bulonera_sync.server.certificates import ServedCertificate

logger = logging.getLogger("bulonera_sync")

STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:0 auto;padding:1rem;"
    "color:#1b1b1b;background:#fff}code{font-size:1rem;overflow-wrap:anywhere}"
    "a.get{display:inline-block;padding:.8rem 1.2rem;border-radius:.5rem;background:#0b57d0;"
    "color:#fff;text-decoration:none}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}
SPANISH = Template("""<!doctype html><html lang="es"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Conexión segura</title>
<style>$style</style><h1>Conexión segura con la caja</h1>
<p>Instalá este certificado una sola vez en cada equipo que venda.</p>
<p><a class="get" href="/ca.crt">Descargar el certificado</a></p>
<p>Antes de aceptarlo, compará la huella con la que muestra <code>bulonera-sync tls show</code>:</p>
<p><code>$fingerprint</code></p>
<h2>Android</h2><p>Ajustes, Seguridad, Cifrado y credenciales, Instalar un certificado,
Certificado de CA; elegí <code>ca.crt</code> en Descargas.</p>
<h2>iPhone y iPad</h2><p>Abrí esta página en Safari y descargalo. Ajustes, Perfil descargado,
Instalar. Después: General, Información, Configuración de confianza de certificados, y activalo.</p>
<h2>Windows</h2><p>Abrí <code>ca.crt</code>, Instalar certificado, Equipo local, Entidades de
certificación raíz de confianza.</p>
<h2>Linux</h2><p>En Chromium: Configuración, Privacidad y seguridad, Seguridad, Administrar
certificados, Importar. En Firefox: Ajustes, Certificados, Autoridades, Importar.</p></html>""")
ENGLISH = Template("""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Secure connection</title>
<style>$style</style><h1>A secure connection to the gateway</h1>
<p>Install this certificate once on each device that sells.</p>
<p><a class="get" href="/ca.crt">Download the certificate</a></p>
<p>Before you accept it, compare its fingerprint with what <code>bulonera-sync tls show</code>
says:</p><p><code>$fingerprint</code></p>
<h2>Android</h2><p>Settings, Security, Encryption and credentials, Install a certificate, CA
certificate; choose <code>ca.crt</code> in Downloads.</p>
<h2>iPhone and iPad</h2><p>Open this page in Safari and download it. Settings, Profile downloaded,
Install. Then: General, About, Certificate Trust Settings, and turn it on.</p>
<h2>Windows</h2><p>Open <code>ca.crt</code>, Install certificate, Local machine, Trusted Root
Certification Authorities.</p>
<h2>Linux</h2><p>In Chromium: Settings, Privacy and security, Security, Manage certificates, Import.
In Firefox: Settings, Certificates, Authorities, Import.</p></html>""")


@asynccontextmanager
async def offering(
    settings: ServerSettings, certificate: ServedCertificate | None
) -> AsyncIterator[str | None]:
    """Offer the gateway's own authority while the block runs; yields the page's address.

    None without an authority of its own, or when the port can't be had: sales don't wait for it.
    """
    if certificate is None or certificate.own is None:
        yield None
        return
    try:
        offer = Offer(certificate.own)
        await offer.read()
    except BuloneraError as error:
        logger.error("Authority not offered", extra={"error": str(error)})
        yield None
        return
    runner = web.AppRunner(_make_app(offer), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.tls_page_port).start()
        except OSError as error:
            logger.error("Authority not offered", extra={"error": str(error)})
            yield None
            return
        yield f"http://{settings.host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Offer:
    """The authority as it is when it is asked for: `tls init --force` may make another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self) -> tuple[bytes, str]:
        """Return the certificate's file and its fingerprint; raises `BuloneraError`."""
        from bulonera_sync.tls.files import Folder  # noqa: PLC0415 - slow, seldom used

        return await asyncio.to_thread(Folder(self._folder).offered)


def _make_app(offer: Offer) -> web.Application:
    async def read() -> tuple[bytes, str]:
        try:
            return await offer.read()
        except BuloneraError as error:
            logger.error("Authority not offered", extra={"error": str(error)})
            text = "bulonera-sync tls show"
            raise web.HTTPServiceUnavailable(text=text, headers=HEADERS) from error

    async def page(request: web.Request) -> web.Response:
        _, fingerprint = await read()
        facts = {"style": STYLE, "fingerprint": escape(fingerprint)}
        is_english = request.headers.get("Accept-Language", "").lower().startswith("en")
        text = (ENGLISH if is_english else SPANISH).substitute(facts)
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def download(request: web.Request) -> web.Response:
        authority, _ = await read()
        # Android and iOS know what to do with this type.
        return web.Response(
            body=authority, content_type="application/x-x509-ca-cert", headers=HEADERS
        )

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/ca.crt", download)
    return app
