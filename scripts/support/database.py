"""A private MariaDB for a quickstart: nobody but this run's user reaches it."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from processes import Failure, run, wait_until

# What the kernel takes as the address of a socket, less the byte that ends it.
SOCKET_PATH_MAX = 107
# Who runs the server when we are root: it has no need to be.
SERVICE_USERS = ("mysql", "nobody")


def own_name():
    """What the kernel says of this process, and MariaDB asks it for."""
    return pwd.getpwuid(os.geteuid()).pw_name


def server_user():
    """The operating system's user that the server runs as."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in SERVICE_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failure(f"there is neither a user {SERVICE_USERS[0]} nor {SERVICE_USERS[1]} for MariaDB "
                  "to run as")


class Database:
    """The server, its folder of mode 0700 and in it the one way in: a socket. It listens on no
    address, and its administrator is whoever started it, by what the kernel says of the caller."""

    def __init__(self, setup, fleet):
        self.setup, self.fleet = setup, fleet
        self.folder = setup.folder / "mariadb"
        self.socket = self.folder / "socket"
        self.process = None

    def start(self):
        """Starts it and makes the aggregator's database; what goes into `store:`."""
        for program in ("mariadbd", "mariadb-install-db"):
            if shutil.which(program) is None:
                raise Failure(f"{program} is not installed: run scripts/install-deps quickstart")
        user = server_user()
        self._make_folder(user)
        run(["mariadb-install-db", "--no-defaults", f"--user={user.pw_name}",
             f"--datadir={self.folder}/data", "--auth-root-authentication-method=socket",
             f"--auth-root-socket-user={own_name()}", "--skip-test-db"],
            "mariadb-install-db")
        self.process = self.fleet.start("mariadb", [
            "mariadbd", "--no-defaults", f"--user={user.pw_name}",
            f"--datadir={self.folder}/data", "--skip-networking", f"--socket={self.socket}"])
        wait_until("MariaDB to answer", lambda: self._sql("SELECT 1"))
        password = self.setup.secret("database")
        self._sql("CREATE DATABASE netsentinel CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;"
                  "CREATE USER netsentinel@localhost IDENTIFIED BY "
                  f"'{password.read_text().strip()}';"
                  "GRANT ALL PRIVILEGES ON netsentinel.* TO netsentinel@localhost;", True)
        return (f"url: \"mysql://netsentinel@/netsentinel?socket={self.socket}\""
                f", password_file: {password}")

    def _make_folder(self, user):
        """The server's own folder. As root, and where the run's folder has too long a name for a
        socket, it lies elsewhere: another user cannot pass through a folder that is only ours."""
        if os.geteuid() == 0 or len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="netsentinel-mariadb-"))
            self.fleet.at_stop(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.socket = self.folder / "socket"

    def _sql(self, text, must=False):
        self.process.check()
        result = subprocess.run(["mariadb", "--no-defaults", f"-u{own_name()}",
                                 f"--socket={self.socket}"],
                                input=text, capture_output=True, text=True, check=False)
        if must and result.returncode != 0:
            raise Failure(f"MariaDB refused the set-up: {result.stderr}")
        return result.returncode == 0
