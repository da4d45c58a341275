"""Pictures, clips and sounds: inputs and reconstructions, previews of data; parts of sheets that are put together."""
