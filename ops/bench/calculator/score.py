"""What a calculator of a few lines does with a row."""


def calculate(row):
    return {**row, "score": row["delay"] * 2, "late": row["delay"] > 15}
