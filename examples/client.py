"""Generates and scores with running servers (`trimtab up`)."""

import asyncio

from trimtab.client import Item, RewardClient, RolloutClient
from trimtab.rollout.v1.rollout_pb2 import GenerateRequest, Prompt


async def main() -> None:
    rollout, reward = RolloutClient("127.0.0.1:50051"), RewardClient("127.0.0.1:50052")
    request = GenerateRequest(prompts=[Prompt(id="sum", text="12+34+5=")], samples_per_prompt=4)
    async with rollout, reward:
        async for event in rollout.generate(request, timeout_s=30):
            sample = event.sample
            item = Item(id="0", verifier="numeric", response=sample.text, references=["51"])
            [verdict] = await reward.score([item], timeout_s=30)
            print(sample.text, verdict.reward, [round(h, 2) for h in sample.entropies])


asyncio.run(main())
