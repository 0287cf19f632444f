import { Empty, Snippet } from '~/parts'
import { Files } from '~/parts/files/Files'

const CODE = `picloud bucket put results.csv         # store a file
picloud exec 'ls -l /bucket'           # jobs see all of it as a folder
picloud bucket get results.csv .       # and bring it back`

/** The account's bucket. */
export default function Bucket() {
  return (
    <Files
      title="Bucket"
      volume=""
      place="/bucket"
      empty={
        <Empty title="The bucket is empty" more={<Snippet code={CODE} />}>
          It keeps files for jobs, which find them under /bucket. Drop some here, or store them from your machine.
        </Empty>
      }
    />
  )
}
