"""What operators lend of a site, as the processes of one host tell each other."""

from router.observe.event import LoansChanged
from router.policy.loan import Loan, Recall, SiteLoans
from wire.spillway.v1 import host_pb2 as pb


def loans_message(told: LoansChanged) -> pb.SiteLoans:
    """It as a message."""
    message = pb.SiteLoans(
        site=told.site, first=told.loans.first, said_unix_ns=told.loans.said_unix_ns
    )
    loan, recall = told.loans.loan, told.loans.recall
    if loan is not None:
        message.loan.replicas = loan.replicas
        message.loan.of = loan.of
        message.loan.since_unix_ns = loan.since_unix_ns
        message.loan.until_unix_ns = loan.until_unix_ns
        message.loan.reason = loan.reason
    if recall is not None:
        message.recall.replicas = recall.replicas
        message.recall.until_unix_ns = recall.until_unix_ns
    return message


def loans_of(message: pb.SiteLoans) -> LoansChanged:
    """What a message says."""
    loan = recall = None
    if message.HasField("loan"):
        said = message.loan
        loan = Loan(
            said.replicas,
            said.of,
            said.since_unix_ns,
            said.until_unix_ns,
            said.reason,
        )
    if message.HasField("recall"):
        recall = Recall(message.recall.replicas, message.recall.until_unix_ns)
    loans = SiteLoans(loan, recall, tuple(message.first), message.said_unix_ns)
    return LoansChanged(message.site, loans)
