"""What the errors of disks and of S3 servers mean; needs the standard library only."""

from __future__ import annotations

import errno
import re

from robot_recorder.floor.storage.port import StorageError, StorageTrouble

_FULL, _DENIED = StorageTrouble.FULL, StorageTrouble.DENIED
_MISSING, _WRONG = StorageTrouble.MISSING, StorageTrouble.WRONG
_UNAVAILABLE = StorageTrouble.UNAVAILABLE

_ERRNOS = {
    errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EFBIG: _FULL,
    errno.EACCES: _DENIED, errno.EPERM: _DENIED, errno.EROFS: _DENIED,
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _WRONG, errno.EISDIR: _WRONG, errno.ENAMETOOLONG: _WRONG, errno.ELOOP: _WRONG,
    errno.ENOTEMPTY: _WRONG, errno.EEXIST: _WRONG, errno.EINVAL: _WRONG,
}  # fmt: skip

_CODES = {
    _FULL: "QuotaExceeded EntityTooLarge XMinioStorageFull XMinioAdminBucketQuotaExceeded "
           "InsufficientStorage NoSpaceLeft",
    _DENIED: "AccessDenied AllAccessDisabled AccountProblem ExpiredToken InvalidAccessKeyId InvalidToken "
             "SignatureDoesNotMatch RequestTimeTooSkewed RequestExpired TokenRefreshRequired InvalidSecurity "
             "AuthorizationQueryParametersError AuthorizationHeaderMalformed NotSignedUp",
    _MISSING: "NoSuchBucket NoSuchKey NoSuchUpload InvalidBucketName PermanentRedirect NotFound",
    _WRONG: "InvalidDigest BadDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch IncompleteBody "
            "InvalidPart InvalidPartOrder EntityTooSmall KeyTooLongError MissingContentLength",
    _UNAVAILABLE: "SlowDown ServiceUnavailable InternalError RequestTimeout OperationAborted Throttling "
                  "TooManyRequests XMinioServerNotInitialized",
}  # fmt: skip
_TROUBLES = {code: trouble for trouble, codes in _CODES.items() for code in codes.split()}
_STATUSES = {
    401: _DENIED, 403: _DENIED, 404: _MISSING, 408: _UNAVAILABLE, 409: _UNAVAILABLE,
    413: _FULL, 429: _UNAVAILABLE, 507: _FULL,
}  # fmt: skip
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,80})</Code>")


def os_trouble(error: OSError) -> StorageTrouble:
    """Return what an error of the disk means; an unknown one may pass."""
    return _ERRNOS.get(error.errno or 0, _UNAVAILABLE)


def disk_error(error: OSError, what: str) -> StorageError:
    """Return an error of the disk as one of the storage; ``what`` begins the sentence."""
    return StorageError(os_trouble(error), f"{what}: {error.strerror or error}")


def s3_trouble(code: str, status: int) -> StorageTrouble:
    """Return what the answer of an S3 server means.

    Args:
        code: from its body; empty: there is none.
        status: of HTTP.
    """
    if code in _TROUBLES:
        return _TROUBLES[code]
    if status in _STATUSES:
        return _STATUSES[status]
    return _UNAVAILABLE if status >= 500 or not 400 <= status < 500 else _WRONG


def reply_trouble(status: int, body: bytes) -> tuple[StorageTrouble, str]:
    """Return what the refusal of a part means, and the server's code for it.

    A full S3 bucket answers 403 as an expired address does; only the body tells them apart.

    Args:
        status: of HTTP.
        body: of the reply, or its beginning: the XML of an S3 server.
    """
    found = _CODE.search(body[:10_000])
    code = found.group(1).decode() if found else ""
    return s3_trouble(code, status), code
