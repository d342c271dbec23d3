"""What the loopback Hub answers, route by route, as huggingface_hub 2.4 asks it."""

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, quote

import yaml

from loopback_hub.server import Answer, LoopbackHub, Request, Route
from loopback_hub.state import Commit, Repository, StoredFile, sha256

__all__ = ["ROUTES"]


def refused(status: int, message: str, code: str | None = None, **headers: object) -> Answer:
    answer = Answer(status, {"error": message}, X_Error_Message=message, **headers)
    if code:
        answer.headers["X-Error-Code"] = code
    return answer


def user_of(hub: LoopbackHub, request: Request) -> str | None:
    token = request.headers.get("Authorization", request.headers.get("authorization", "")).removeprefix("Bearer ")
    if token and token not in hub.users:
        raise refused(401, "Invalid credentials in Authorization header")
    return hub.users.get(token)


def logged_in(hub: LoopbackHub, request: Request) -> str:
    user = user_of(hub, request)
    if user is None:
        raise refused(401, "Invalid username or password.")
    return user


def repository_of(
    hub: LoopbackHub, request: Request, name: str, *, write: bool = False, content: bool = False
) -> Repository:
    """Return the repository if the user may do that with it."""
    user, found = user_of(hub, request), hub.repositories.get(name)
    mine = found is not None and user == found.owner
    if found is None or (found.private and not mine):
        # the real Hub sends 401 without a code to nobody; over http:// the library needs the code to know it
        raise refused(404 if user else 401, "Repository not found", "RepoNotFound")
    if write and not mine:
        raise refused(403 if user else 401, "You don't have the rights to write to this repository")
    if content and found.gated and not mine and user not in found.granted:
        raise refused(403 if user else 401, f"Access to model {name} is restricted", "GatedRepo")
    return found


def commit_of(repository: Repository, revision: str) -> Commit:
    commit = repository.resolve(revision)
    if commit is None:
        raise refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def whoami(hub: LoopbackHub, request: Request) -> Answer:
    token = {"displayName": "test", "role": "write"}
    auth = {"type": "access_token", "accessToken": token}
    return Answer(200, {"type": "user", "name": logged_in(hub, request), "orgs": [{"name": "zoo"}], "auth": auth})


def create(hub: LoopbackHub, request: Request) -> Answer:
    wanted, user = request.json(), logged_in(hub, request)
    name = f"{wanted.get('organization') or user}/{wanted['name']}"
    owner = name.partition("/")[0]
    if owner != user:
        return refused(403, f"You don't have the rights to create a model under {owner}")
    url = f"{hub.url}/{name}"
    if name in hub.repositories:
        return Answer(409, {"error": "You already created this model repo", "url": url})
    hub.create(name, private=wanted.get("visibility") == "private" or wanted.get("private") is True)
    return Answer(200, {"url": url, "name": name})


def delete(hub: LoopbackHub, request: Request) -> Answer:
    wanted = request.json()
    name = f"{wanted.get('organization') or logged_in(hub, request)}/{wanted['name']}"
    repository_of(hub, request, name, write=True)
    del hub.repositories[name]
    return Answer(200, {})


def validate_yaml(_hub: LoopbackHub, request: Request) -> Answer:
    match = re.match(r"---\n(.*?)\n---", request.json()["content"], re.DOTALL)
    try:
        sound = match is not None and isinstance(yaml.safe_load(match[1]), dict)
    except yaml.YAMLError as error:
        return Answer(400, {"errors": [{"message": str(error)}], "warnings": []})
    return Answer(200 if sound else 400, {"errors": [] if sound else [{"message": "no mapping"}], "warnings": []})


def listing(hub: LoopbackHub, request: Request) -> Answer:
    user, query = user_of(hub, request), request.query
    rows = []
    for repository in hub.repositories.values():
        facts = hub.facts(repository, repository.head)
        if repository.private and user != repository.owner:
            continue
        if not set(query.get("filter", [])) <= set(facts["tags"]):
            continue
        if any(text.lower() not in repository.id.lower() for text in query.get("search", [])):
            continue
        if any(author != repository.owner for author in query.get("author", [])):
            continue
        rows.append(facts)
    rows.sort(key=lambda facts: facts[query.get("sort", ["lastModified"])[0]], reverse=True)
    limit = min(int(query.get("limit", [hub.page_size])[0]), hub.page_size)
    start = int(query.get("cursor", [0])[0])
    page = [
        {key: row[key] for key in ("_id", "id", "modelId", *query.get("expand", []))} for row in rows[start:][:limit]
    ]
    answer = Answer(200, page)
    if start + limit < len(rows):
        kept = "&".join(f"{key}={quote(value)}" for key, values in query.items() if key != "cursor" for value in values)
        answer.headers["Link"] = f'<{hub.url}/api/models?{kept}&cursor={start + limit}>; rel="next"'
    return answer


def facts(hub: LoopbackHub, request: Request, name: str, revision: str | None = None) -> Answer:
    repository = repository_of(hub, request, name)
    return Answer(200, hub.facts(repository, commit_of(repository, revision or "main"), blobs="blobs" in request.query))


def rows_of(commit: Commit) -> list[dict[str, Any]]:
    rows = []
    for path, file in sorted(commit.files.items()):
        row: dict[str, Any] = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
        if file.lfs:
            row["lfs"] = {"oid": file.lfs, "size": file.size, "pointerSize": 130}
        rows.append(row)
    return rows


def paths_info(hub: LoopbackHub, request: Request, name: str, revision: str) -> Answer:
    commit = commit_of(repository_of(hub, request, name, content=True), revision)
    wanted = parse_qs(request.body.decode()).get("paths", [])
    return Answer(200, [row for row in rows_of(commit) if row["path"] in wanted])


def tree(hub: LoopbackHub, request: Request, name: str, revision: str) -> Answer:
    return Answer(200, rows_of(commit_of(repository_of(hub, request, name, content=True), revision)))


def add_tag(hub: LoopbackHub, request: Request, name: str, revision: str) -> Answer:
    repository, tag = repository_of(hub, request, name, write=True), request.json()["tag"]
    if tag in repository.tags:
        return refused(409, f"tag {tag} already exists")
    repository.tags[tag] = commit_of(repository, revision).sha
    return Answer(200, {})


def preupload(hub: LoopbackHub, request: Request, name: str, revision: str) -> Answer:
    commit = commit_of(repository_of(hub, request, name, write=True), revision)
    files = []
    for file in request.json()["files"]:
        large = file["size"] > 10_000_000 or re.search(hub.large_names, file["path"])
        old = commit.files.get(file["path"])
        files.append(
            {
                "path": file["path"],
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
                "oid": old and (old.lfs or old.oid),
            }
        )
    return Answer(200, {"files": files, "commitOid": commit.sha})


def lfs_batch(hub: LoopbackHub, request: Request, name: str) -> Answer:
    repository_of(hub, request, name, write=True)
    objects = []
    for wanted in request.json()["objects"]:
        row = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in hub.large:
            upload = {"href": f"{hub.cdn_url}/put/{wanted['oid']}?signature=secret"}
            row["actions"] = {"upload": upload, "verify": {"href": f"{hub.url}/lfs-verify", "header": {}}}
        objects.append(row)
    return Answer(200, {"transfer": "basic", "objects": objects})


def lfs_verify(hub: LoopbackHub, request: Request) -> Answer:
    wanted = request.json()
    return Answer(200 if len(hub.large.get(wanted["oid"], b"")) == wanted["size"] else 404, {})


def cdn_put(hub: LoopbackHub, request: Request, digest: str) -> Answer:
    if sha256(request.body) != digest:
        return refused(400, "sha256 mismatch")
    hub.large[digest] = request.body
    return Answer(200)


def commit(hub: LoopbackHub, request: Request, name: str, branch: str) -> Answer:
    repository = repository_of(hub, request, name, write=True)
    files: dict[str, StoredFile] = dict(repository.head.files)
    title = ""
    for line in request.body.splitlines():
        entry = json.loads(line)
        value = entry["value"]
        if entry["key"] == "header":
            title = value["summary"]
            if value.get("parentCommit") not in (None, repository.branches[branch]):
                return refused(412, "A commit has happened since. Please refresh and try again.")
        elif entry["key"] == "file":
            files[value["path"]] = hub.store(base64.b64decode(value["content"]))
        elif entry["key"] == "lfsFile":
            if value["oid"] not in hub.large:
                return refused(400, f"LFS object {value['oid']} was not uploaded")
            files[value["path"]] = hub.large_file(value["oid"])
    made = hub.commit(repository, files, title, branch)
    return Answer(200, {"success": True, "commitOid": made.sha, "commitUrl": f"{hub.url}/{name}/commit/{made.sha}"})


def resolve(hub: LoopbackHub, request: Request, name: str, revision: str, path: str) -> Answer:
    repository = repository_of(hub, request, name, content=True)
    at = commit_of(repository, revision)
    file = at.files.get(path)
    if file is None:
        return refused(404, "Entry not found", "EntryNotFound", X_Repo_Commit=at.sha)
    if file.lfs is None:
        return ranged(request, hub.regular[file.oid], X_Repo_Commit=at.sha, ETag=f'"{file.oid}"')
    return Answer(
        302,
        X_Repo_Commit=at.sha,
        Accept_Ranges="bytes",
        X_Linked_ETag=f'"{file.lfs}"',
        X_Linked_Size=file.size,
        ETag=f'"{file.oid}"',
        X_Xet_Hash="0" * 64,
        Link=f'<{hub.url}/api/models/{name}/xet-read-token/{at.sha}>; rel="xet-auth"',
        Location=f"{hub.cdn_url}/get/{file.lfs}?signature=secret",
    )


def cdn_get(hub: LoopbackHub, request: Request, digest: str) -> Answer:
    return ranged(request, hub.large[digest], ETag=f'"{digest}"')


def ranged(request: Request, data: bytes, **headers: object) -> Answer:
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", request.headers.get("range", "")))
    if not wanted:
        return Answer(200, data, **headers)
    start, stop = int(wanted[1]), min(int(wanted[2] or len(data)) + 1, len(data))
    if start >= len(data):
        return Answer(416, b"", Content_Range=f"bytes */{len(data)}")
    return Answer(206, data[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(data)}", **headers)


_ID, _STEP = r"([^/]+/[^/]+)", r"([^/]+)"
ROUTES: dict[str, list[Route]] = {
    "cdn": [("PUT", r"/put/(\w+)", cdn_put), ("GET", r"/get/(\w+)", cdn_get)],
    "hub": [
        ("GET", "/api/whoami-v2", whoami),
        ("POST", "/api/repos/create", create),
        ("DELETE", "/api/repos/delete", delete),
        ("POST", "/api/validate-yaml", validate_yaml),
        ("GET", "/api/models", listing),
        ("GET", f"/api/models/{_ID}", facts),
        ("GET", f"/api/models/{_ID}/revision/{_STEP}", facts),
        ("GET", f"/api/models/{_ID}/tree/{_STEP}", tree),
        ("POST", f"/api/models/{_ID}/paths-info/{_STEP}", paths_info),
        ("POST", f"/api/models/{_ID}/tag/{_STEP}", add_tag),
        ("POST", f"/api/models/{_ID}/preupload/{_STEP}", preupload),
        ("POST", f"/api/models/{_ID}/commit/{_STEP}", commit),
        ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", lfs_batch),
        ("POST", "/lfs-verify", lfs_verify),
        ("GET HEAD", f"/{_ID}/resolve/{_STEP}/(.+)", resolve),
    ],
}
