"""Renews the certificate of a server under load: no request may fail, and soon every
client has to be shown the new certificate. The server is then sent SIGHUP, which must
not end it.

COMITY in the environment is the path of the built command; openssl has to be installed."""

import http.client
import json
import pathlib
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

import exchange

POLLERS = 8
RENEWALS = 3
DEADLINE = 10  # seconds until every poller has seen a new certificate


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.pem, self.key = folder / "ca.pem", folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=CA",
                "-keyout", self.key, "-out", self.pem)

    def issue(self, serial):
        """Returns the texts of a certificate for 127.0.0.1 and of its key."""
        key, request, pem, names = (self.folder / name for name in ("new.key", "new.csr", "new.pem", "names"))
        names.write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=comity", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-set_serial", str(serial), "-days", "30",
                "-extfile", names, "-out", pem)
        return pem.read_text(), key.read_text()


class Poller(threading.Thread):
    """Polls until ended is set, with a new connection after every ten requests."""

    def __init__(self, url, token, ca):
        super().__init__()
        self.host = urllib.parse.urlsplit(url).netloc
        self.headers = {"Authorization": "Bearer " + token, "Accept": exchange.MEDIA_TYPE}
        self.context = ssl.create_default_context(cafile=ca)
        self.requests, self.failures, self.serial, self.ended = 0, [], None, False

    def run(self):
        while not self.ended:
            connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=30)
            try:
                connection.connect()
                self.serial = int(connection.sock.getpeercert()["serialNumber"], 16)
                for _ in range(10):
                    connection.request("GET", "/igci/collections/", headers=self.headers)
                    answer = connection.getresponse()
                    body = json.loads(answer.read())
                    if answer.status != 200 or not body["collections"]:
                        self.failures.append((answer.status, body))
                    self.requests += 1
            except Exception as failure:
                self.failures.append(failure)
            finally:
                connection.close()


def main():
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        authority = Authority(folder)
        cert, key = folder / "cert.pem", folder / "key.pem"

        def replace(serial):
            for file, text in zip((cert, key), authority.issue(serial)):
                file.write_text(text)
                time.sleep(0.3)  # for a moment the certificate and the key are not a pair

        replace(1)
        server = exchange.Exchange("--tls-cert", str(cert), "--tls-key", str(key))
        pollers = [Poller(server.url, server.vendor[1], authority.pem) for _ in range(POLLERS)]
        try:
            for poller in pollers:
                poller.start()
            for serial in range(2, RENEWALS + 2):
                replace(serial)
                replaced = time.monotonic()
                while any(poller.serial != serial for poller in pollers):
                    assert time.monotonic() < replaced + DEADLINE, f"after {DEADLINE} s some clients are shown the old certificate"
                    time.sleep(0.05)
                print(f"renewal {serial - 1}: every client was shown the new certificate after {time.monotonic() - replaced:.1f} s")
            server.server.process.send_signal(signal.SIGHUP)
            before = [poller.requests for poller in pollers]
            while any(poller.requests < n + 20 for poller, n in zip(pollers, before)):
                assert server.server.process.poll() is None, "SIGHUP ended the server"
                assert not any(poller.failures for poller in pollers), [poller.failures for poller in pollers]
                time.sleep(0.05)
        finally:
            for poller in pollers:
                poller.ended = True
            for poller in pollers:
                poller.join()
            server.stop()
        failures = [failure for poller in pollers for failure in poller.failures]
        requests = sum(poller.requests for poller in pollers)
        print(f"{RENEWALS} renewals, {POLLERS} clients, {requests} requests, {len(failures)} failed, {time.monotonic() - began:.1f} s")
        assert not failures, failures[:3]


main()
