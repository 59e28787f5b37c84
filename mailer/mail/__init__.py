"""The words that producers and workers share: messages, recipients, payloads, outcomes. No I/O."""
