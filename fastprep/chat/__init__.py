"""Conversations: chat templates, checks of messages, and the ids of a conversation with their mask."""
