"""Pictures: inputs above reconstructions, previews of data, waveforms; parts of sheets that are put together."""
