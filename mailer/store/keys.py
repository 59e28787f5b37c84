"""Every Redis key: pattern, type, what it holds, who moves it, how long it lives.

Key                          Type    Holds                                        Lives
-----------------------------  ------  -----------------------------------------  -----------------------------
mailer:campaigns             zset    campaign id → time of its first enqueue      until it is forgotten
mailer:forgetting            set     campaigns whose keys are being removed       seconds
mailer:forgotten             zset    campaign id → when it was forgotten          two years
mailer:campaign:<c>          hash    settings, digests, state, start, next        for good
                                     position, until when the last one waits,
                                     after which campaigns it goes on (JSON)
mailer:counts:<c>            hash    status letter → number of recipients         for good
mailer:left                  hash    status letter or kind of what came back, and  for good
                                     account → recipients that left that outcome,
                                     or Redis with their campaign
mailer:status:<c>            string  one status letter per position               for good
mailer:detail:<c>            hash    position → what the server said (msgpack),   for good, not for accepted
                                     for each recipient that was not accepted
mailer:seen:<c>:<bucket>     string  records of 14 octets: recipient fingerprint,  for good (resume, duplicates)
                                     row digest, run; buckets of about 64
                                     (hashes in campaigns of version 0.1.0)
mailer:shared:<c>            hash    digest → attachment bytes (zstd)             until the campaign is final
mailer:batch:<c>:<n>         hash    where the batch is; its fields: batch_states  until each recipient is final
mailer:payload:<c>:<n>       string  the batch's messages (mailer.mail.payload)   with its batch
mailer:enqueued:<c>:<n>      string  the batch was written down                   minutes
mailer:enqueued:<id>         string  batch ref that one call of `send` wrote      minutes
mailer:sent:<k>              string  digest, Message-ID and batch ref of what     as [send] remember_keys says
                                     `send` queued under the key <k> (SHA-256)
mailer:resumed               set     campaigns whose parked batches are to go on  seconds
mailer:queued:<queue>        zset    batch ref → time of its last task message;   while the batch is queued
                                     years ahead while it waits for a turn
mailer:timers                zset    batch ref → when a lease ends or a wait is over  while leased or waiting
mailer:parked:<event>        zset    batch ref → since when it waits for event    while it waits
mailer:rate:<c>:<t>          string  recipients final in the ten seconds <t> (since the epoch / 10)  two minutes
mailer:minutes:<c>:<d>       hash    minute of day <d> and letter → recipients final in it  30 days
mailer:suppressed            hash    fingerprint → mailbox, reason, time, for     for good
                                     all mail; a fourth element where it is not
mailer:suppressed:why        hash    fingerprint → source, evidence (JSON)        as suppressed
mailer:suppressed:until      zset    fingerprint → when it is over                until then
mailer:suppressed:scoped     hash    fingerprint → scope → reason, since, until,  as suppressed
                                     source, evidence (JSON): not for all mail
mailer:suppressed:ends       zset    fingerprint and scope → when it is over      until then
mailer:suppressed:changes    string  how often somebody was put on the list       for good
mailer:suppressed:reasons    hash    reason and source → number of their set      as suppressed
mailer:suppressed:of:<n>     zset    fingerprint and scope → since when           as suppressed
mailer:back:<c>              hash    kind and fingerprint → what came back        for good
mailer:backs:<c>             hash    kind → recipients of whom it came back       for good
mailer:refusals:<fp>         hash    reason, times, first: what the policy        90 days
                                     counts of one mailbox <fp>
mailer:receivers:<c>         hash    a, b, c and a domain → messages that it      for good
                                     took, bounced for good, complained about
mailer:stopped:<c>           hash    domain → why its mail is held back           until somebody has looked
mailer:unknown               zset    what came back and proved nothing → when     the newest 500
mailer:bookmark:<p>          string  how far a mailbox with bounces was read      for good
mailer:read:<p>              set     unique ids of a POP3 mailbox's messages that      while they lie there
                                     are recorded
mailer:dead                  zset    dead letter id → time                        until replayed or purged
mailer:dead:<id>             hash    reason, stage, reply, account, positions …   with its dead letter
mailer:deadload:<id>         string  the dead letter's payload                    with its dead letter
mailer:dead:groups           hash    l or m, reason, account, campaign → dead     for good
                                     letters, messages; # and at: counted, when
mailer:audit                 stream  who did what: who, what, about, result, ok   the newest 10,000
mailer:web:key               string  what the console's forms are signed with     for good
mailer:dead:unpublished      set     dead letters not yet on the broker's queue   seconds
mailer:account:<a>           hash    breaker: state, since, reason, reply         for good
mailer:accounts              set     accounts that the breaker has heard of       for good
mailer:logins:<a>            zset    process that logs in → when its turn lapses  seconds
mailer:alerts                zset    event (JSON) → when to tell of it            until somebody was told
mailer:alerts:dead           string  set while dead letters are beyond the alert  while they are
mailer:alerts:<s>            string  set while a consumer of events is behind, or has some aside  meanwhile
mailer:slots:<a>             zset    worker process → when its lease ends         while connections are open
mailer:held:<a>              hash    worker process → its open connections        while connections are open
mailer:permits:<s>:<n>       hash    messages sent and in flight in a window of   two windows; warm-up for good
                                     n seconds, <s> is account:<a> or domain:<d>
mailer:pace:<a>              hash    how far replies have lowered the rate and    until the rate has recovered
                                     the connections, and until when it pauses
mailer:meter:<a>             hash    second → messages sent, where no rate is configured  seconds
mailer:lines                 set     scopes <s> for whose permits batches wait    while batches wait for permits
mailer:line:<s>              zset    campaign → messages it was called for        while batches wait for permits
mailer:line:<s>:<c>          zset    batch ref → its place                        while batches wait for permits
mailer:turns:<queue>         zset    campaign → messages it was published for      while batches wait for a turn
mailer:turns:<queue>:<c>     zset    batch ref → its place                        while batches wait for a turn
mailer:called:<s>            zset    batch ref → permits that it may take         seconds
mailer:swept                 string  when a worker last looked for what is due    for good
mailer:order:<c>             string  the recipients' fingerprints, eight octets a position  for good
mailer:erased:<c>            hash    position → fingerprint of who was erased,         for good
                                     so that she can be skipped
mailer:unsure:<c>            set     positions that were uncertain once, and           for good
                                     were tried again or dropped since
mailer:events                stream  what happened: n (how many recipients); e (an      until all consumers
                                     entry of mailer.mail.event) and p (first position  have read it
                                     of a queued batch), or c, l, p (campaign, letter,
                                     positions)
mailer:events:consumers      hash    consumer → id of the last entry that it has read   for good
mailer:events:read           hash    consumer → recipients told of in what it has read  for good
mailer:events:added          string  recipients told of in all that was ever added      for good
mailer:events:trouble        hash    consumer → why it does not get on                  while it does not
mailer:events:aside:<k>      stream  deliveries that the consumer <k> did not take: n       until replayed or dropped;
                                     (events), d (the delivery, zstd), w (why)          the newest 10,000
mailer:events:again:<k>      stream  the same, to be told again                         until told
mailer:events:lost           hash    consumer → events of deliveries that had to go     for good
mailer:events:missed         hash    consumer → recipients told of in entries that left         until somebody has looked
                                     the stream unread, since and until when (JSON)
mailer:events:rewound        hash    consumer → what it knows and this Redis, restored from         until somebody has looked
                                     a backup, does not: recipients, since, until,
                                     campaigns (JSON)
mailer:events:lease:<k>      string  which process reads for the consumer <k>           seconds
mailer:ledger                string  a name of this ledger's own, which its backups share       for good
mailer:workers               hash    worker → what it knows and when it said so    minutes
mailer:unable:<subject>      hash    worker → when it could not; since when nobody could  minutes
mailer:lock:<name>           string  owner of a cluster-wide duty                 seconds
mailer:serving               string  written to see whether Redis takes writes    a second
mailer:serving:h             hash    as the next ones: written to see whether     until the script that wrote it ends
mailer:serving:z             zset    this user may do all that the scripts do     until the script that wrote it ends
mailer:serving:s             set                                                  until the script that wrote it ends
mailer:serving:x             stream                                               until the script that wrote it ends
mailer:serving:t             string                                               until the script that wrote it ends

``<c>`` is a campaign id, ``<n>`` a batch number, ``<c>:<n>`` a *batch ref*, ``<event>`` is
``campaign:<c>`` or ``account:<a>``. The Lua scripts build the same names (`prelude.lua`); a test reads
them and looks each key up in this table. The fields of a batch stand in `mailer.store.batch_states`.
"""

from hashlib import blake2b
from typing import Final

PREFIX = "mailer:"

CAMPAIGNS = PREFIX + "campaigns"
TIMERS = PREFIX + "timers"
SWEPT = PREFIX + "swept"
FORGETTING = PREFIX + "forgetting"
FORGOTTEN = PREFIX + "forgotten"
LEDGER = PREFIX + "ledger"
LEFT = PREFIX + "left"
RESUMED = PREFIX + "resumed"
SUPPRESSED = PREFIX + "suppressed"
SUPPRESSED_WHY = PREFIX + "suppressed:why"
SUPPRESSED_UNTIL = PREFIX + "suppressed:until"
SUPPRESSED_SCOPED = PREFIX + "suppressed:scoped"
SUPPRESSED_CHANGES = PREFIX + "suppressed:changes"
SUPPRESSED_REASONS = PREFIX + "suppressed:reasons"
UNKNOWN = PREFIX + "unknown"
ACCOUNTS = PREFIX + "accounts"
ALERTS = PREFIX + "alerts"
LINES = PREFIX + "lines"
SERVING = PREFIX + "serving"
WORKERS = PREFIX + "workers"
DEAD = PREFIX + "dead"
AUDIT = PREFIX + "audit"
WEB_KEY = PREFIX + "web:key"
EVENTS = PREFIX + "events"
CONSUMERS = PREFIX + "events:consumers"
EVENTS_ADDED = PREFIX + "events:added"
EVENTS_READ = PREFIX + "events:read"
EVENTS_LOST = PREFIX + "events:lost"
EVENTS_MISSED = PREFIX + "events:missed"
EVENTS_REWOUND = PREFIX + "events:rewound"
EVENTS_TROUBLE = PREFIX + "events:trouble"
DEAD_UNPUBLISHED = PREFIX + "dead:unpublished"


def campaign(name: str) -> str:
    """The hash of a campaign's settings and state."""
    return f"{PREFIX}campaign:{name}"


def counts(name: str) -> str:
    """The hash of a campaign's recipients by status letter."""
    return f"{PREFIX}counts:{name}"


def status(name: str) -> str:
    """The string with one status letter per position."""
    return f"{PREFIX}status:{name}"


OLD_SEEN_BUCKETS: Final = 16_384
"""Hashes over which version 0.1.0 spread the fingerprints of each campaign."""


def seen(name: str, bucket: int) -> str:
    """Some of a campaign's fingerprints."""
    return f"{PREFIX}seen:{name}:{bucket}"


def turns(queue: str) -> str:
    """The zset of campaigns whose batches wait for a worker's turn."""
    return f"{PREFIX}turns:{queue}"


def order(name: str) -> str:
    """The string of a campaign's fingerprints, eight octets a position."""
    return f"{PREFIX}order:{name}"


def erased(name: str) -> str:
    """The hash of the fingerprints that `order` does not show any more."""
    return f"{PREFIX}erased:{name}"


def unsure(name: str) -> str:
    """The set of positions that were uncertain before their dead letter was taken out."""
    return f"{PREFIX}unsure:{name}"


def detail(name: str) -> str:
    """The hash of what is known of recipients that were not accepted."""
    return f"{PREFIX}detail:{name}"


def suppressed_of(number: str) -> str:
    """The zset of entries of the suppression list that have one reason and source."""
    return f"{PREFIX}suppressed:of:{number}"


def back(name: str) -> str:
    """The hash of what came back of a campaign."""
    return f"{PREFIX}back:{name}"


def read_there(place: str) -> str:
    """The ids of what was read at a place that has no order."""
    return f"{PREFIX}read:{blake2b(place.encode(), digest_size=12).hexdigest()}"


def refusals(fingerprint: bytes) -> bytes:
    """The hash of what the policy counts of one mailbox."""
    return f"{PREFIX}refusals:".encode() + fingerprint


def bookmark(place: str) -> str:
    """How far the mailbox *place* was read; the key does not tell which that is."""
    return f"{PREFIX}bookmark:{blake2b(place.encode(), digest_size=12).hexdigest()}"


def backs(name: str) -> str:
    """The hash of how many recipients of a campaign something came back of, by kind."""
    return f"{PREFIX}backs:{name}"


def receivers(name: str) -> str:
    """The hash of how many of a campaign each receiver took, bounced, complained about."""
    return f"{PREFIX}receivers:{name}"


def stopped(name: str) -> str:
    """The hash of receivers whose mail of a campaign is held back."""
    return f"{PREFIX}stopped:{name}"


def shared(name: str) -> str:
    """The hash of a campaign's attachments by digest."""
    return f"{PREFIX}shared:{name}"


def rate(name: str, bucket: int) -> str:
    """The number of recipients that became final in the ten seconds *bucket*."""
    return f"{PREFIX}rate:{name}:{bucket}"


def aside(consumer: str) -> str:
    """The stream of deliveries that a consumer did not take."""
    return f"{PREFIX}events:aside:{consumer}"


def again(consumer: str) -> str:
    """The stream of deliveries that a consumer is to be told again."""
    return f"{PREFIX}events:again:{consumer}"


def minutes(name: str, day: int) -> str:
    """The hash of how many recipients became final in each minute of *day* (days since the epoch)."""
    return f"{PREFIX}minutes:{name}:{day}"


def batch(ref: str) -> str:
    """The hash of one batch: *ref* is ``campaign:number``."""
    return f"{PREFIX}batch:{ref}"


def payload(ref: str) -> str:
    """The string that holds a batch's messages."""
    return f"{PREFIX}payload:{ref}"


def parked(event: str) -> str:
    """The zset of batches that wait for *event* (``campaign:<c>`` or ``account:<a>``)."""
    return f"{PREFIX}parked:{event}"


def dead_letter(identifier: str) -> str:
    """The hash of one dead letter."""
    return f"{PREFIX}dead:{identifier}"


def dead_payload(identifier: str) -> str:
    """The string that holds a dead letter's messages."""
    return f"{PREFIX}deadload:{identifier}"


def account(name: str) -> str:
    """The hash of an account's breaker."""
    return f"{PREFIX}account:{name}"


def logins(name: str) -> str:
    """The zset of processes that are logging in to an account just now."""
    return f"{PREFIX}logins:{name}"


def permits(scope: str, seconds: int) -> str:
    """The hash of one limit's window; *scope* is ``account:<a>`` or ``domain:<d>``."""
    return f"{PREFIX}permits:{scope}:{seconds}"


def line(scope: str, campaign: str | None = None) -> str:
    """The zset of campaigns that wait for permits of *scope*, or of one campaign's batches."""
    return f"{PREFIX}line:{scope}" if campaign is None else f"{PREFIX}line:{scope}:{campaign}"


def pace(name: str) -> str:
    """The hash of what replies say about an account's rate and connections."""
    return f"{PREFIX}pace:{name}"


def unable(subject: str) -> str:
    """The hash of workers that could not do *subject*."""
    return f"{PREFIX}unable:{subject}"


def lock(name: str) -> str:
    """The string that names who holds a cluster-wide duty."""
    return f"{PREFIX}lock:{name}"


def queued(queue: str) -> str:
    """Batches that wait for a worker on *queue*."""
    return f"{PREFIX}queued:{queue}"


def held(account: str) -> str:
    """Open connections for *account*, by worker process."""
    return f"{PREFIX}held:{account}"
