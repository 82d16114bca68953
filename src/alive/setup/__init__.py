"""The first hour: what this machine lacks, and settings for a first run on it."""
