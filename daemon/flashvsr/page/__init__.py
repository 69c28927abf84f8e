"""The status page in each outbox, for people who have only the share: STATUS.html and STATUS.txt."""
