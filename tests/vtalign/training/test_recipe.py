from vtalign.training.recipe import run_recipe


def test_runs(recipe, tmp_path):
    s = run_recipe(recipe(tmp_path / "run"))
    print(s)
    import subprocess

    print(subprocess.run(["find", str(tmp_path), "-type", "f"], capture_output=True, text=True).stdout)
    print(open(tmp_path / "run/history.jsonl").read())
