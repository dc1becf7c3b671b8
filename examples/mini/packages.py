"""Debian packages that the music comes from: pinned versions, checked after the download."""

import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Package:
    """A Debian package of one version, the same on all architectures."""

    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Name of the .deb file."""
        return f"{self.name}_{self.version}_all.deb"


NAEV = Package(
    name="naev-data", version="0.8.2-1", sha256="a98849cacdfc72779e03ceb68f32af03cb3c3f382ba8b82e3299ef87254b454d"
)
SECTOID = Package(
    name="fretsonfire-songs-sectoid",
    version="1.dfsg-3.1",
    sha256="14c1ed3e43c1a6a80eae7698f0469a0825cd1184e441968d62df89ca418aa0b4",
)
FREEDOOM = Package(
    name="freedoom", version="0.12.1-2", sha256="c5b7cf1aa6dde8c980271981ce75b9b4a9e7b634b9db93d471f54bab7a8e1290"
)
OPENCLONK = Package(
    name="openclonk-data", version="8.1-3", sha256="1505314b47196c5052caf75e870ea2cf36bdb4e1d0c7e3f133da93815b7e642f"
)
FLUID = Package(
    name="fluid-soundfont-gm",
    version="3.1-5.3",
    sha256="6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e",
)
MUSESCORE = Package(
    name="musescore-general-soundfont",
    version="0.2.1-1",
    sha256="21ab87e4b15711817f84130a370bdb51003c90f3bf53e4015f3b410b9ed8c6a5",
)

# Kenta Cho's games: package, version, SHA-256
KENTA_CHO = tuple(
    Package(name=f"{name}-data", version=version, sha256=sha256)
    for name, version, sha256 in (
        line.split()
        for line in """\
a7xpg 0.11.dfsg1-11 7407c74e6160be0db3713d79176f9ba984fcd59437ac8127b60033d6bf44ba6a
gunroar 0.15.dfsg1-10 d5b0b86f4baef55534d83e77c7a66c91d4c385168fcb19e090553827e282f360
mu-cade 0.11.dfsg1-13 0486ba0460f0d1d7c9d41b44d5209610e000fc2aea8f6bb3d15de7f6f6664bd1
noiz2sa 0.51a-13 7e38af552d946eaaf06ab2789c921972bb2bd88f202d48113faf11a30a614223
parsec47 0.2.dfsg1-9 5411a7a186cd06433db14b82b6f90e1f3e2cb345dfaf6f4d0f14dec17de8beff
rrootage 0.23a-13 790ef886eb9705a9fc8b71069a31c4beab3beb4512603a1b87f90258879e4ccf
titanion 0.3.dfsg1-8 8a291c78bbd2b48e932439aefa219243ea72095e5a92cabb69b54af4797e2008
torus-trooper 0.22.dfsg1-13 774d4134f57dd201ae89471b2d3fd1f0b7255dc0ceabcfe0d9e6c3e6b34499aa
tumiki-fighters 0.2.dfsg1-10 74eb827adfbe9622d693c4bc1c930ad7a5846242689c34da64c97ba214995fba
val-and-rick 0.1a.dfsg1-7 95d8606ba7c14e57ebfa7538a0211eb08e55c03c8077fd922cdb91a5c206dd3e
""".splitlines()
    )
)


def unpack(package: Package, folder: Path) -> Path:
    """Return the folder that holds the package's files, downloaded and checked on first use."""
    root = folder / package.name
    if not root.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            deb = download(package, Path(scratch))
            subprocess.run(["dpkg-deb", "-x", deb, Path(scratch, "files")], check=True)
            Path(scratch, "files").rename(root)
    return root


def download(package: Package, folder: Path) -> Path:
    """Return the package's file; exits where it is another than the one pinned here."""
    subprocess.run(["apt-get", "-qq", "download", f"{package.name}={package.version}"], cwd=folder, check=True)
    deb = folder / package.file
    found = hashlib.sha256(deb.read_bytes()).hexdigest()
    if found != package.sha256:
        raise SystemExit(
            f"{package.file} has SHA-256 {found}, not {package.sha256}. Get the right one: snapshot.debian.org"
        )
    return deb
