"""The learning methods that the workers know, listed for pages that never import torch."""

from django.db import models


class MergeWay(models.Model):
    """One way to merge adapters (`personalization.merging`), written by a worker when it starts."""

    name = models.CharField(max_length=40, primary_key=True)
    summary = models.CharField(max_length=200)
    paper = models.CharField(max_length=60)
    parameters = models.JSONField(default=dict)  # name -> {"default", "low", "high"}

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class MethodInfo(models.Model):
    """One method of `personalization.registry`, written by a worker when it starts."""

    name = models.CharField(max_length=40, primary_key=True)
    data = models.CharField(max_length=20)  # what it learns from: pairs, ratings, inventory, ...
    produces = models.CharField(max_length=20)  # adapter, vector, personality, values
    summary = models.CharField(max_length=200)
    paper = models.CharField(max_length=60)
    parameters = models.JSONField(default=dict)  # name -> {"default", "low", "high"}
    enabled = models.BooleanField(default=True)  # an operator may switch it off

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
