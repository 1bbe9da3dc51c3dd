"""What stands before the first call of a command: a dry run ends there, and consent is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fusionprog.cli.spending import ask_first

if TYPE_CHECKING:
    from fusionprog.prompts.embedders import EmbedderSpec
    from fusionprog.runtime.compiled import CompiledProgram
    from fusionprog.search.events import Event
    from fusionprog.search.preflight import Job


class DryRun(Exception):
    """Ends a dry run where a model would be asked for the first time.

    Attributes:
        job: What would be done.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job


class Gate:
    """A callback that stands before the first call: there a dry run ends, and consent is asked for.

    Args:
        dry_run: Whether nothing may be asked.
        asks: Whether a paid model is only asked with consent, as no cap says how much it may take.
    """

    def __init__(self, *, dry_run: bool, asks: bool) -> None:
        self._dry_run = dry_run
        self._asks = asks

    def __call__(self, event: Event) -> None:
        """Is told of the plan before anything is asked.

        Raises:
            DryRun: if nothing may be asked.
            UsageError: if consent is needed and nobody can give it.
            Abort: if it is not given.
        """
        from fusionprog.cli.summary import dry_run_lines
        from fusionprog.search.events import Planned

        if not isinstance(event, Planned):
            return
        if self._dry_run:
            raise DryRun(event.job)
        if self._asks and any(not model.free for model in event.job.asked):
            ask_first(dry_run_lines(event.job))
        self._asks = False  # what is searched again later spends what the first search leaves

    def check_embedder(self, program: CompiledProgram, given: EmbedderSpec) -> None:
        """Asks for consent where an embedding model says where new tasks are, which is before any search.

        Args:
            program: What is adapted.
            given: The embedder in the place of its own, if any.

        Raises:
            UsageError: if nothing may be asked, or consent is needed and nobody can give it.
            Abort: if it is not given.
        """
        from fusionprog.prompts.embedders import AskedModel, embedder_named, embedder_of

        needs = (embedder_of(program.embedder) if given is None else embedder_named(given)).needs
        if not isinstance(needs, AskedModel):
            return
        if self._dry_run:
            raise click.UsageError(
                f"A dry run asks nothing, and only {needs.name} can say where these tasks are. Set a cap (--max-usd 2) "
                "in its place; an embedding takes a call or two."
            )
        if self._asks:
            ask_first([f"{needs.name} says where the tasks are, and a search follows"])
            self._asks = False
