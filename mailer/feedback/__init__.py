"""What comes back: bounces, complaints, auto-replies, webhooks; octets in, reports out."""

from mailer.feedback.reader import read
from mailer.feedback.report import Kind, Reason, Report, Trace

__all__ = ["Kind", "Reason", "Report", "Trace", "read"]
